//! Big bodies, cured: they are parsed on threads for computing, a few at a time, and nothing of them
//! is read before it is their turn. Small ones are parsed where they were read.
//!
//! The body is `{"model":"m","items":[{"id":17,"text":"…","vector":[0.1,-0.2,…]},…]}`.

use std::time::Duration;

use axum::extract::{Query, Request, State};
use axum::routing::post;
use axum::{Json, Router};
use service::Services;
use service::large_body::{Answer, BodyError, Incoming, Parameters, Phases, Records, SMALL, Work};
use vitals::BlockingPool;

use crate::admission::{Admission, Limits};
use crate::cpu_pool::CpuPool;

/// Most bytes of a body.
const LIMIT: usize = 32 << 20;

/// Most large bodies that wait for their turn, and how long each of them waits.
const WAITING: usize = 32;
const WAIT: Duration = Duration::from_secs(10);

#[derive(Clone)]
struct App {
    records: Records,
    cpu: CpuPool,
    large: Admission,
    blocking: BlockingPool,
}

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let cpu = CpuPool::new(&services.args)?;
    // While they are busy, the next one is read.
    let large = Admission::new(Limits {
        inside: cpu.threads() + 1,
        waiting: WAITING,
        wait: WAIT,
    });
    let gauge = large.clone();
    services.gauge("large_bodies", move || gauge.snapshot());
    let app = App {
        records: Records::open(services)?,
        cpu,
        large,
        blocking: services.vitals.pool().clone(),
    };
    Ok(Router::new()
        .route("/ping", post(ping))
        .route("/pong", post(pong))
        .with_state(app))
}

/// `POST /ping`: buffer the body, deserialize it; `work` is how long that takes at least.
async fn ping(
    State(app): State<App>,
    Query(work): Query<Work>,
    request: Request,
) -> Result<Json<Answer>, BodyError> {
    take(app, request, work, "ping_read", move |body, phases| {
        let parsed: Result<Parameters, _> = work.spend(|| serde_json::from_slice(body));
        let parameters = parsed.map_err(BodyError::invalid)?;
        phases.ended("ping_parse");
        Ok(parameters.answer())
    })
    .await
}

/// `POST /pong`: the same in its phases, each of them timed. Deserialized once, from text to
/// parameters: `json_parsing` makes them, and there is no value in between that would need a fourth
/// phase.
async fn pong(State(app): State<App>, request: Request) -> Result<Json<Answer>, BodyError> {
    take(
        app,
        request,
        Work::default(),
        "read_chunks",
        |body, phases| {
            let text = str::from_utf8(body).map_err(BodyError::invalid)?;
            phases.ended("string_conversion");
            let parameters: Parameters = serde_json::from_str(text).map_err(BodyError::invalid)?;
            phases.ended("json_parsing");
            Ok(parameters.answer())
        },
    )
    .await
}

/// Reads a body, timed as `reading`, and parses it: a small one here, a large one on the CPU pool, and
/// so one whose `work` is more than its size tells.
async fn take(
    app: App,
    request: Request,
    work: Work,
    reading: &'static str,
    parse: impl FnOnce(&[u8], &mut Phases) -> Result<Answer, BodyError> + Send + 'static,
) -> Result<Json<Answer>, BodyError> {
    let records = app.records;
    let mut body = Incoming::new(request, LIMIT, &records.sizes);
    if !work.is_asked() && body.is_within(SMALL).await? {
        let mut phases = records.timings.start();
        let bytes = body.read().await?;
        phases.have_read(reading, bytes.len());
        let answer = parse(&bytes, &mut phases);
        records.log.write_beside(&app.blocking, bytes);
        return answer.map(Json);
    }
    // Before it is read, not after: those that wait would wait in memory.
    let mut seat = app.large.enter().await?;
    let mut phases = records.timings.start();
    body.read_into(&mut seat.buffer).await?;
    phases.have_read(reading, seat.buffer.len());
    let parsed = app.cpu.run(move || {
        records.log.write(&seat.buffer);
        phases.restart();
        parse(&seat.buffer, &mut phases)
    });
    parsed.await?.map(Json)
}
