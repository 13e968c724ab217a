//! Parsers that make parameters at once, without a tree of values in between, on the same worker. The
//! general one then is as quick as a faster one with a tree, and the faster one hardly quicker still: to
//! allocate every part is most of the work. A stall is left, and whatever shares the worker waits for it.

use axum::Router;
use failures::large_body::{BodyError, Parameters, Phases, mount};
use service::Services;

use crate::large_body::{LIMIT, take};

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    Ok(mount(services, LIMIT, ping, pong, take)?)
}

/// `POST /ping`: a general parser makes parameters.
fn ping(body: &[u8]) -> Result<Parameters, BodyError> {
    serde_json::from_slice(body).map_err(BodyError::invalid)
}

/// `POST /pong`: the same with a faster parser, in phases that are timed.
fn pong(body: &[u8], phases: &mut Phases) -> Result<Parameters, BodyError> {
    let text = str::from_utf8(body).map_err(BodyError::invalid)?;
    phases.ended("string_conversion");
    let parameters = sonic_rs::from_str(text).map_err(BodyError::invalid)?;
    phases.ended("json_parsing");
    Ok(parameters)
}
