//! The probe, cured: predictions have a bulkhead of their own, which refuses what it cannot take, and
//! the probes answer on the event loop. A full server says that it is not ready, never that it is dead.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use service::{Liveness, LivezQuery, PredictQuery, Prediction, Predictions, Services};
use vitals::{Bulkhead, BulkheadError, ReadinessSnapshot, ReadinessWatch};

#[derive(Clone)]
struct App {
    predictions: Predictions,
    bulkhead: Bulkhead,
    readiness: ReadinessWatch,
}

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let (args, flags) = (&services.args, &services.args.bulkheads);
    let threads = args.pool_threads as usize;
    let bulkhead = Bulkhead::new("predictions", threads, Some(args.queue()));
    let watched = bulkhead.clone();
    let readiness = ReadinessWatch::spawn(flags.readiness_hold, move || {
        watched.snapshot().is_backed_up()
    });
    let app = App {
        predictions: Predictions::default(),
        bulkhead,
        readiness,
    };
    let (bulkhead, readiness) = (app.bulkhead.clone(), app.readiness.clone());
    services.gauge("bulkhead", move || bulkhead.snapshot());
    services.gauge("readiness", move || readiness.snapshot());
    Ok(Router::new()
        .route("/predict", post(predict))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(app))
}

/// `POST /predict`, on a thread of the bulkhead; 503 with `Retry-After` when its queue is full. A client
/// that leaves takes its prediction out of the queue.
async fn predict(
    State(app): State<App>,
    Query(query): Query<PredictQuery>,
) -> Result<Json<Prediction>, BulkheadError> {
    let prediction = app.bulkhead.run(app.predictions.job(query.work)).await?;
    Ok(Json(prediction))
}

/// `GET /livez`: whether predictions make progress, answered on the loop. `recent` has to be longer than
/// any prediction takes, or a slow one passes for one that is stuck.
async fn livez(State(app): State<App>, Query(query): Query<LivezQuery>) -> Liveness {
    app.predictions.liveness(query.recent.get())
}

/// `GET /readyz`: 503 while predictions have been waiting for a while. It makes none.
async fn readyz(State(app): State<App>) -> (StatusCode, Json<ReadinessSnapshot>) {
    let readiness = app.readiness.snapshot();
    let status = match readiness.ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(readiness))
}
