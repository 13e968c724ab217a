//! Big bodies, cured: a few at a time are read, and then parsed on threads for computing.
//!
//! The body is `{"model":"m","items":[{"id":17,"text":"…","vector":[0.1,-0.2,…]},…]}`.

use axum::Router;
use failures::large_body::{Answer, Arrival, BodyError, Parameters, Phases, mount};
use service::Services;

use crate::cpu_pool::CpuPool;

/// Most bytes of a body.
const LIMIT: usize = 32 << 20;

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let cpu = CpuPool::open(services)?;
    let take = move |arrival| take(cpu.clone(), arrival);
    Ok(mount(services, LIMIT, ping, pong, take)?)
}

/// `POST /ping`: the parser makes the parameters directly, without a tree of values.
fn ping(body: &[u8]) -> Result<Parameters, BodyError> {
    serde_json::from_slice(body).map_err(BodyError::invalid)
}

/// `POST /pong`: the same. Each phase is timed. There is no tree to make parameters from.
fn pong(body: &[u8], phases: &mut Phases) -> Result<Parameters, BodyError> {
    let text = str::from_utf8(body).map_err(BodyError::invalid)?;
    phases.ended("string_conversion");
    let parameters = serde_json::from_str(text).map_err(BodyError::invalid)?;
    phases.ended("json_parsing");
    Ok(parameters)
}

/// Parses a small body here. A large body, or one that costs more than its size tells, goes to the pool.
async fn take(cpu: CpuPool, mut arrival: Arrival) -> Result<Answer, BodyError> {
    let mut bytes = Vec::new();
    if arrival.is_small().await? {
        let body = arrival.read_into(&mut bytes).await?;
        return body.parse_and_log_beside(bytes);
    }
    // It waits before it is read, because a body that has been read would wait in memory.
    let mut seat = cpu.enter().await?;
    let body = arrival.read_into(&mut seat.buffer).await?;
    let parsed = cpu.run(move || {
        body.log(&seat.buffer);
        body.parse(&seat.buffer)
    });
    parsed.await?
}
