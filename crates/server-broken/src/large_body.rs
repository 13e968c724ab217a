//! Big bodies starve small requests: they are parsed on the event loop, and all others wait.
//!
//! The body is `{"model":"m","items":[{"id":17,"text":"…","vector":[0.1,-0.2,…]},…]}`.

use axum::Router;
use failures::large_body::{Answer, Arrival, BodyError, Parameters, Phases, mount};
use serde::Deserialize;
use service::Services;

/// Most bytes of a body.
pub(crate) const LIMIT: usize = 64 << 20;

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    Ok(mount(services, LIMIT, ping, pong, take)?)
}

/// `POST /ping`: a general parser makes a tree of values. Parameters are made from the tree.
fn ping(body: &[u8]) -> Result<Parameters, BodyError> {
    let tree: serde_json::Value = serde_json::from_slice(body).map_err(BodyError::invalid)?;
    Parameters::deserialize(tree).map_err(BodyError::invalid)
}

/// `POST /pong`: the same with a faster parser. Each phase is timed.
fn pong(body: &[u8], phases: &mut Phases) -> Result<Parameters, BodyError> {
    let text = str::from_utf8(body).map_err(BodyError::invalid)?;
    phases.ended("string_conversion");
    let tree: sonic_rs::Value = sonic_rs::from_str(text).map_err(BodyError::invalid)?;
    phases.ended("json_parsing");
    let parameters = sonic_rs::from_value(&tree).map_err(BodyError::invalid)?;
    phases.ended("param_creation");
    Ok(parameters)
}

/// Reads a body, logs it if the flags say so, and parses it. All of it runs on the loop's worker.
pub(crate) async fn take(arrival: Arrival) -> Result<Answer, BodyError> {
    let mut bytes = Vec::new();
    let body = arrival.read_into(&mut bytes).await?;
    body.log(&bytes);
    body.parse(&bytes)
}
