//! A SIMD parser on the same worker: quicker where a body becomes a tree of values, hardly where it
//! goes into a struct at once and allocating its parts is most of the work. Either way whatever shares
//! the worker waits until it is done.

use axum::extract::{Query, Request, State};
use axum::routing::post;
use axum::{Json, Router};
use service::Services;
use service::large_body::{Answer, BodyError, Incoming, Parameters, Records, Work};
use sonic_rs::Value;

use crate::large_body::LIMIT;

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let records = Records::open(services)?;
    Ok(Router::new()
        .route("/ping", post(ping))
        .route("/pong", post(pong))
        .with_state(records))
}

/// `POST /ping`: buffer the body, deserialize it; `work` is how long that takes at least.
async fn ping(
    State(records): State<Records>,
    Query(work): Query<Work>,
    request: Request,
) -> Result<Json<Answer>, BodyError> {
    let mut phases = records.timings.start();
    let body = Incoming::new(request, LIMIT, &records.sizes).read().await?;
    phases.have_read("ping_read", body.len());
    records.log.write(&body);
    phases.restart();
    let parsed: Result<Parameters, _> = work.spend(|| sonic_rs::from_slice(&body));
    let parameters = parsed.map_err(BodyError::invalid)?;
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
    let value: Value = sonic_rs::from_str(&text).map_err(BodyError::invalid)?;
    phases.ended("json_parsing");
    let parameters: Parameters = sonic_rs::from_value(&value).map_err(BodyError::invalid)?;
    phases.ended("param_creation");
    Ok(Json(parameters.answer()))
}
