//! The probe shares the pool with the work. A server that is merely full does not answer its liveness
//! probe. It is killed for that, and all its work is lost.

use axum::extract::{Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use failures::liveness::{Liveness, LivezQuery, PredictQuery, Prediction, Predictions};
use service::Services;
use vitals::{BlockingPool, PoolError};

#[derive(Clone)]
struct App {
    predictions: Predictions,
    pool: BlockingPool,
}

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let app = App {
        predictions: Predictions::default(),
        pool: services.vitals.pool().clone(),
    };
    Ok(Router::new()
        .route("/predict", post(predict))
        .route("/livez", get(livez))
        .route("/readyz", get(predict))
        .with_state(app))
}

/// `POST /predict`: waits in the shared pool behind everything that was queued before. `GET /readyz` is
/// the same handler: each readiness probe makes a prediction, to show that the server can.
async fn predict(
    State(app): State<App>,
    Query(query): Query<PredictQuery>,
) -> Result<Json<Prediction>, PoolError> {
    let prediction = app.pool.run(app.predictions.job(query.work)).await?;
    Ok(Json(prediction))
}

/// `GET /livez`: whether predictions make progress. The answer itself is quick, but it waits for a
/// thread of the pool as long as a prediction does.
async fn livez(
    State(app): State<App>,
    Query(query): Query<LivezQuery>,
) -> Result<Liveness, PoolError> {
    let recent = query.recent.get();
    app.pool.run(move || app.predictions.liveness(recent)).await
}
