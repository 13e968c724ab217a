use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use tokio::time::{Instant, sleep_until};

use crate::call::Call;
use crate::dice::Dice;
use crate::fault::{Effect, Fault};
use crate::gate::Admission;
use crate::ledger::{Cause, Guard, Kind, Phase};
use crate::mock::Mock;
use crate::plan::Plan;
use crate::refusal::Refusal;
use crate::schedule::Schedule;
use crate::stream::{Act, Pace, Plot, Script, Slices, TokenStream, whole};

/// What `Retry-After` says when the queue is full.
const COME_BACK: Duration = Duration::from_secs(1);

/// An answer that may run.
struct Started {
    /// Its account.
    guard: Guard,
    /// When its schedule begins.
    origin: Instant,
}

/// Answers with a stream: the head as soon as the answer may run, then the script at its pace.
///
/// # Errors
/// The error status of the fault, or that the queue is full.
pub async fn stream<S: Script>(
    mock: &Mock,
    call: &Call,
    kind: Kind,
    mut plan: Plan,
    script: S,
) -> Result<Response, Refusal> {
    let Started { guard, origin } = start(mock, call, kind, &mut plan).await?;
    if origin > Instant::now() {
        sleep_until(origin).await;
    }
    guard.head_sent();
    let acts = Plot::new(script, plan.chunks, plan.fault.clone());
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-cache"),
    ];
    let started = Started { guard, origin };
    Ok((headers, perform(mock, call, &plan, acts, started)).into_response())
}

/// Answers with a whole document when its last token is due. The load at its beginning sets the pace of
/// the whole.
///
/// # Errors
/// The error of the fault, or that the queue is full.
pub async fn document(
    mock: &Mock,
    call: &Call,
    kind: Kind,
    mut plan: Plan,
    body: Bytes,
) -> Result<Response, Refusal> {
    let Started { mut guard, origin } = start(mock, call, kind, &mut plan).await?;
    let turn = plan
        .fault
        .as_ref()
        .and_then(Fault::turn)
        .filter(|k| *k <= plan.chunks);
    let last = turn.unwrap_or(plan.chunks).min(plan.chunks - 1);
    let factor = mock.gate().load().factor();
    let due = origin + schedule(mock, call, &plan).due(last, factor);
    sleep_until(due).await;
    let effect = turn.and_then(|k| plan.fault.as_ref()?.at(k));
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
    let acts = whole(body, plan.chunks, effect.as_ref()).into_iter();
    let headers = [(CONTENT_TYPE, "application/json")];
    let started = Started { guard, origin };
    Ok((headers, perform(mock, call, &plan, acts, started)).into_response())
}

/// Opens the account, and waits until the answer may run. If the fault is an error status, or the queue is
/// full, the account is settled at once.
async fn start(mock: &Mock, call: &Call, kind: Kind, plan: &mut Plan) -> Result<Started, Refusal> {
    let opening = call.opening(kind);
    let ledger = mock.ledger();
    if let Some(Fault::Status { code, retry_after }) = plan.fault {
        ledger.settle(&opening, Phase::Headers, Cause::StatusSent);
        let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        return Err(Refusal::on_purpose(status, None, Some(retry_after)));
    }
    let (mut guard, slot, origin) = match mock.gate().enter() {
        Admission::Now(slot) => (ledger.open(opening, Phase::Headers), slot, call.arrived),
        Admission::Queued(place) => {
            let guard = ledger.open(opening, Phase::Queued);
            let slot = place.await;
            guard.admitted();
            let granted = slot.granted();
            (guard, slot, granted)
        }
        Admission::Refused(limits) => {
            ledger.settle(&opening, Phase::Queued, Cause::Refused);
            return Err(Refusal::queue_full(limits, COME_BACK));
        }
    };
    guard.keep(slot);
    if let Some(active) = plan.active.take() {
        guard.keep(active);
    }
    // A late head is not a late token: the schedule begins with the head.
    let origin = origin
        + plan
            .fault
            .as_ref()
            .map(Fault::head_delay)
            .unwrap_or_default();
    Ok(Started { guard, origin })
}

fn perform<A>(mock: &Mock, call: &Call, plan: &Plan, acts: A, started: Started) -> Body
where
    A: Iterator<Item = Act> + Send + Unpin + 'static,
{
    let schedule = schedule(mock, call, plan);
    let pace = Pace::new(started.origin, schedule, mock.gate().load());
    let slices = Slices::new(plan.fault.as_ref().and_then(Fault::slice));
    let lateness = mock.lateness().clone();
    Body::from_stream(TokenStream::new(
        acts,
        pace,
        slices,
        lateness,
        started.guard,
    ))
}

fn schedule(mock: &Mock, call: &Call, plan: &Plan) -> Schedule {
    let dice = Dice::new(mock.seed(), &call.request_id);
    Schedule::new(dice, plan.ttft.clone(), plan.interval.clone())
}
