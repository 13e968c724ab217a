//! A cure that saves only the probe. Predictions have a pool of their own, with an unbounded queue. The
//! server is never killed. But when requests come faster than the threads can serve them, each client
//! waits for everything that was queued before it, even for clients that have left.

use axum::extract::{Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use failures::liveness::{Liveness, LivezQuery, PredictQuery, Prediction, Predictions};
use service::Services;
use vitals::{Bulkhead, BulkheadError};

#[derive(Clone)]
struct App {
    predictions: Predictions,
    pool: Bulkhead,
}

pub(crate) fn routes(services: &mut Services, threads: usize) -> anyhow::Result<Router> {
    let app = App {
        predictions: Predictions::default(),
        pool: failures::liveness::pool_of_its_own(services, threads, None),
    };
    Ok(Router::new()
        .route("/predict", post(predict))
        .route("/livez", get(livez))
        .route("/readyz", get(predict))
        .with_state(app))
}

/// `POST /predict` and `GET /readyz`: a prediction, on a thread of the pool.
async fn predict(
    State(app): State<App>,
    Query(query): Query<PredictQuery>,
) -> Result<Json<Prediction>, BulkheadError> {
    let job = app.predictions.job(query.work);
    // A task of its own, because in many frameworks a handler runs on after its client has left.
    let waiting = tokio::spawn(async move { app.pool.run(job).await });
    let prediction = waiting
        .await
        .expect("it is not aborted, nor does it panic")?;
    Ok(Json(prediction))
}

/// `GET /livez`: whether predictions make progress, answered on the loop.
async fn livez(State(app): State<App>, Query(query): Query<LivezQuery>) -> Liveness {
    app.predictions.liveness(query.recent.get())
}
