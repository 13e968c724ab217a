//! Big bodies, cured: they are parsed on threads for computing, a few at a time, and nothing of them
//! is read before it is their turn. Small ones are parsed where they were read.
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

/// `POST /ping`: the parser makes parameters at once, without a tree of values in between.
fn ping(body: &[u8]) -> Result<Parameters, BodyError> {
    serde_json::from_slice(body).map_err(BodyError::invalid)
}

/// `POST /pong`: the same, in phases that are timed. No phase is left for making parameters of a tree.
fn pong(body: &[u8], phases: &mut Phases) -> Result<Parameters, BodyError> {
    let text = str::from_utf8(body).map_err(BodyError::invalid)?;
    phases.ended("string_conversion");
    let parameters = serde_json::from_str(text).map_err(BodyError::invalid)?;
    phases.ended("json_parsing");
    Ok(parameters)
}

/// Reads a body and parses it: a small one here, a large one on the CPU pool, and so one that costs more
/// than its size tells.
async fn take(cpu: CpuPool, mut arrival: Arrival) -> Result<Answer, BodyError> {
    let mut bytes = Vec::new();
    if arrival.is_small().await? {
        let body = arrival.read_into(&mut bytes).await?;
        return body.parse_and_log_beside(bytes);
    }
    // Before it is read, not after: those that wait would wait in memory.
    let mut seat = cpu.enter().await?;
    let body = arrival.read_into(&mut seat.buffer).await?;
    let parsed = cpu.run(move || {
        body.log(&seat.buffer);
        body.parse(&seat.buffer)
    });
    parsed.await?
}
