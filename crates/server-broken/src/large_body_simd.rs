//! A SIMD parser on the same worker: quicker where a body is mostly text, not where it is mostly
//! numbers. Either way whatever shares the worker waits until it is done.

use axum::extract::{Request, State};
use axum::routing::post;
use axum::{Json, Router};
use service::Services;
use service::large_body::{Answer, BodyError, Incoming, Parameters, Records};

use crate::large_body::LIMIT;

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let records = Records::open(services)?;
    Ok(Router::new()
        .route("/ping", post(ping))
        .route("/pong", post(pong))
        .with_state(records))
}

/// `POST /ping`: buffer the body, deserialize it.
async fn ping(State(records): State<Records>, request: Request) -> Result<Json<Answer>, BodyError> {
    let mut phases = records.timings.start();
    let mut body = Incoming::new(request, LIMIT, &records.sizes).read().await?;
    phases.have_read("ping_read", body.len());
    records.log.write(&body);
    phases.restart();
    let parameters: Parameters = simd_json::from_slice(&mut body).map_err(BodyError::invalid)?;
    phases.ended("ping_parse");
    Ok(Json(parameters.answer()))
}

/// `POST /pong`: the same in four phases, each of them timed.
async fn pong(State(records): State<Records>, request: Request) -> Result<Json<Answer>, BodyError> {
    let mut phases = records.timings.start();
    let body = Incoming::new(request, LIMIT, &records.sizes).read().await?;
    phases.have_read("read_chunks", body.len());
    records.log.write(&body);
    phases.restart();
    let text = String::from_utf8(body).map_err(BodyError::invalid)?;
    phases.ended("string_conversion");
    // The parser unescapes in place, so what it leaves of the text is no text any more.
    let mut bytes = text.into_bytes();
    let value = simd_json::to_borrowed_value(&mut bytes).map_err(BodyError::invalid)?;
    phases.ended("json_parsing");
    let parameters: Parameters =
        simd_json::serde::from_borrowed_value(value).map_err(BodyError::invalid)?;
    phases.ended("param_creation");
    Ok(Json(parameters.answer()))
}
