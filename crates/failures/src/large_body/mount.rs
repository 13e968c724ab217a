use axum::extract::{Query, Request};
use axum::routing::post;
use axum::{Json, Router};
use service::{EnvironmentError, Services};

use super::{Answer, Arrival, BodyError, Parameters, Phases, Records, Work};

/// `POST /ping` and `POST /pong`, for bodies of at most `limit` bytes. `take` reads a body and has it
/// parsed: by `ping`, over and over for as long as the query's `work` says, or by `pong`, which ends each
/// of its phases.
///
/// # Errors
/// As [`Records::open`].
pub fn mount<T, R>(
    services: &mut Services,
    limit: usize,
    ping: fn(&[u8]) -> Result<Parameters, BodyError>,
    pong: fn(&[u8], &mut Phases) -> Result<Parameters, BodyError>,
    take: T,
) -> Result<Router, EnvironmentError>
where
    T: Fn(Arrival) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<Answer, BodyError>> + Send + 'static,
{
    let records = Records::open(services)?;
    let on_ping = {
        let (records, take) = (records.clone(), take.clone());
        async move |Query(work): Query<Work>, request: Request| {
            let parse = move |body: &[u8], phases: &mut Phases| {
                let parameters = work.spend(|| ping(body))?;
                phases.ended("ping_parse");
                Ok(parameters)
            };
            let parse = Box::new(parse);
            let arrival = Arrival::new(request, limit, work, "ping_read", parse, records);
            take(arrival).await.map(Json)
        }
    };
    let on_pong = async move |request: Request| {
        let work = Work::default();
        let parse = Box::new(pong);
        let arrival = Arrival::new(request, limit, work, "read_chunks", parse, records);
        take(arrival).await.map(Json)
    };
    Ok(Router::new()
        .route("/ping", post(on_ping))
        .route("/pong", post(on_pong)))
}
