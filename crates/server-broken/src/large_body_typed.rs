//! Parsers that make the parameters directly, without a tree, but still on the event loop. The general
//! parser is then as quick as the faster parser with a tree. The faster parser gains little, because most
//! of the time goes into allocating every part. The stall is shorter, but it still makes all others wait.

use axum::Router;
use failures::large_body::{BodyError, Parameters, Phases, mount};
use service::Services;

use crate::large_body::{LIMIT, take};

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    Ok(mount(services, LIMIT, ping, pong, take)?)
}

/// `POST /ping`: a general parser makes the parameters directly.
fn ping(body: &[u8]) -> Result<Parameters, BodyError> {
    serde_json::from_slice(body).map_err(BodyError::invalid)
}

/// `POST /pong`: the same with a faster parser. Each phase is timed.
fn pong(body: &[u8], phases: &mut Phases) -> Result<Parameters, BodyError> {
    let text = str::from_utf8(body).map_err(BodyError::invalid)?;
    phases.ended("string_conversion");
    let parameters = sonic_rs::from_str(text).map_err(BodyError::invalid)?;
    phases.ended("json_parsing");
    Ok(parameters)
}
