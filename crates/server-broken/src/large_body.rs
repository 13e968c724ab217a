//! Big bodies starve small requests: a body is parsed where it was read, on a worker of the event
//! loop, and whatever shares that worker waits until it is done.
//!
//! The body is `{"model":"m","items":[{"id":17,"text":"…","vector":[0.1,-0.2,…]},…]}`.

use axum::extract::{Query, Request, State};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::Value;
use service::Services;
use service::large_body::{Answer, BodyError, Incoming, Parameters, Records, Work};

/// Most bytes of a body.
pub(crate) const LIMIT: usize = 64 << 20;

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
    let parsed: Result<Parameters, _> = work.spend(|| serde_json::from_slice(&body));
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
    let value: Value = serde_json::from_str(&text).map_err(BodyError::invalid)?;
    phases.ended("json_parsing");
    let parameters = Parameters::deserialize(value).map_err(BodyError::invalid)?;
    phases.ended("param_creation");
    Ok(Json(parameters.answer()))
}
