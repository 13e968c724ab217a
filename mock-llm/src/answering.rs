use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use tokio::time::sleep_until;

use crate::Mock;
use crate::call::Call;
use crate::dice::Dice;
use crate::fault::{Effect, Fault};
use crate::ledger::{Cause, Guard, Kind};
use crate::refusal::Refusal;
use crate::schedule::Schedule;
use crate::shape::Shape;
use crate::stream::{Act, Pace, Plot, Script, Slices, TokenStream, whole};

/// Answers with a stream: the head at once, then the script at its pace.
///
/// # Errors
/// The error status that the fault asks for.
pub async fn stream<S: Script>(
    mock: &Mock,
    call: &Call,
    kind: Kind,
    shape: &Shape,
    script: S,
) -> Result<Response, Refusal> {
    let guard = open(mock, call, kind, shape)?;
    let delay = head_delay(shape);
    if !delay.is_zero() {
        sleep_until(call.arrived + delay).await;
    }
    guard.head_sent();
    let plot = Plot::new(script, shape.chunks, shape.fault.clone());
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, perform(mock, call, shape, plot, guard)).into_response())
}

/// Answers with a whole document, once its last token is due.
///
/// # Errors
/// The error that the fault asks for.
pub async fn document(
    mock: &Mock,
    call: &Call,
    kind: Kind,
    shape: &Shape,
    body: Bytes,
) -> Result<Response, Refusal> {
    let mut guard = open(mock, call, kind, shape)?;
    let turn = shape
        .fault
        .as_ref()
        .and_then(Fault::turn)
        .filter(|k| *k <= shape.chunks);
    let last = turn.unwrap_or(shape.chunks).min(shape.chunks - 1);
    let due = call.arrived + head_delay(shape) + schedule(mock, call, shape).due(last);
    sleep_until(due).await;
    let effect = turn.and_then(|k| shape.fault.as_ref()?.at(k));
    match &effect {
        Some(Effect::Stall) => std::future::pending().await,
        Some(Effect::Error(kind)) => {
            guard.declare(Cause::ErrorSent);
            return Err(Refusal::on_purpose(
                StatusCode::INTERNAL_SERVER_ERROR,
                Some(kind),
                None,
            ));
        }
        _ => {}
    }
    mock.lateness().record(due.elapsed());
    guard.head_sent();
    let acts = whole(body, shape.chunks, effect.as_ref()).into_iter();
    let headers = [(CONTENT_TYPE, "application/json")];
    Ok((headers, perform(mock, call, shape, acts, guard)).into_response())
}

/// Opens the account, and settles it at once if the fault is an error status.
fn open(mock: &Mock, call: &Call, kind: Kind, shape: &Shape) -> Result<Guard, Refusal> {
    let peer = Some(call.peer.clone());
    let mut guard = mock
        .ledger()
        .open(kind, call.request_id.clone(), call.started_us, peer);
    let Some(Fault::Status { code, retry_after }) = shape.fault else {
        return Ok(guard);
    };
    guard.declare(Cause::StatusSent);
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Err(Refusal::on_purpose(status, None, Some(retry_after)))
}

fn perform<A>(mock: &Mock, call: &Call, shape: &Shape, acts: A, guard: Guard) -> Body
where
    A: Iterator<Item = Act> + Send + Unpin + 'static,
{
    // A late head is not a late token: the schedule begins with the head.
    let pace = Pace::new(
        call.arrived + head_delay(shape),
        schedule(mock, call, shape),
    );
    let slices = Slices::new(shape.fault.as_ref().and_then(Fault::slice));
    Body::from_stream(TokenStream::new(
        acts,
        pace,
        slices,
        mock.lateness().clone(),
        guard,
    ))
}

fn schedule(mock: &Mock, call: &Call, shape: &Shape) -> Schedule {
    Schedule::new(
        Dice::new(mock.seed(), &call.request_id),
        shape.ttft,
        shape.interval,
    )
}

fn head_delay(shape: &Shape) -> Duration {
    shape
        .fault
        .as_ref()
        .map(Fault::head_delay)
        .unwrap_or_default()
}
