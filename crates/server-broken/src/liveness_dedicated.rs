//! The cure that saves only the probe: a pool of its own for predictions, with one thread and a queue
//! without a bound. The server is never killed, makes one prediction at a time, and has each client
//! wait for all that came before, those who left included.

use axum::extract::{Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use service::{Liveness, LivezQuery, PredictQuery, Prediction, Predictions, Services};
use vitals::{Bulkhead, BulkheadError};

#[derive(Clone)]
struct App {
    predictions: Predictions,
    dedicated: Bulkhead,
}

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let app = App {
        predictions: Predictions::default(),
        dedicated: Bulkhead::new("predictions", 1, None),
    };
    let dedicated = app.dedicated.clone();
    services.gauge("bulkhead", move || dedicated.snapshot());
    Ok(Router::new()
        .route("/predict", post(predict))
        .route("/livez", get(livez))
        .route("/readyz", get(predict))
        .with_state(app))
}

/// `POST /predict` and `GET /readyz`: a prediction, on the one thread.
async fn predict(
    State(app): State<App>,
    Query(query): Query<PredictQuery>,
) -> Result<Json<Prediction>, BulkheadError> {
    let job = app.predictions.job(query.work);
    // A task of its own, because many a framework lets a handler go on whose client has left.
    let waiting = tokio::spawn(async move { app.dedicated.run(job).await });
    let prediction = waiting
        .await
        .expect("it is not aborted, nor does it panic")?;
    Ok(Json(prediction))
}

/// `GET /livez`: whether predictions make progress, answered on the loop.
async fn livez(State(app): State<App>, Query(query): Query<LivezQuery>) -> Liveness {
    app.predictions.liveness(query.recent.get())
}
