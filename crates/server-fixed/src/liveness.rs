//! The probe, cured. Predictions have a bulkhead of their own, which refuses what it has no room for. The
//! probes answer on the event loop. A full server says that it is not ready, never that it is dead.

use axum::extract::{Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use failures::liveness::{Liveness, LivezQuery, PredictQuery, Prediction, Predictions};
use failures::liveness::{Readyz, pool_of_its_own, readiness};
use service::Services;
use vitals::{Bulkhead, BulkheadError, ReadinessWatch};

#[derive(Clone)]
struct App {
    predictions: Predictions,
    pool: Bulkhead,
    readiness: ReadinessWatch,
}

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let (threads, queue) = (services.args.pool_threads as usize, services.args.queue());
    let pool = pool_of_its_own(services, threads, Some(queue));
    let app = App {
        predictions: Predictions::default(),
        readiness: readiness(services, &pool),
        pool,
    };
    Ok(Router::new()
        .route("/predict", post(predict))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(app))
}

/// `POST /predict`: runs on a thread of the bulkhead. A full queue gives 503 with `Retry-After`. If the
/// client leaves, its prediction leaves the queue.
async fn predict(
    State(app): State<App>,
    Query(query): Query<PredictQuery>,
) -> Result<Json<Prediction>, BulkheadError> {
    let prediction = app.pool.run(app.predictions.job(query.work)).await?;
    Ok(Json(prediction))
}

/// `GET /livez`: whether predictions make progress, answered on the loop. `recent` must be longer than
/// any prediction takes, or a slow prediction looks stuck.
async fn livez(State(app): State<App>, Query(query): Query<LivezQuery>) -> Liveness {
    app.predictions.liveness(query.recent.get())
}

/// `GET /readyz`: 503 while predictions have been waiting for a while. The probe makes no prediction.
async fn readyz(State(app): State<App>) -> Readyz {
    Readyz(app.readiness.snapshot())
}
