//! The work runs in the handlers, on the event loop. During a prediction, that loop answers nothing else,
//! not even the liveness probe.

use std::thread;

use axum::extract::{Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use failures::liveness::{Liveness, LivezQuery, PredictQuery, Prediction, Predictions};
use service::Services;

#[derive(Clone)]
struct App {
    predictions: Predictions,
}

pub(crate) fn routes(_services: &mut Services) -> anyhow::Result<Router> {
    let app = App {
        predictions: Predictions::default(),
    };
    Ok(Router::new()
        .route("/predict", post(predict))
        .route("/livez", get(livez))
        .route("/readyz", get(predict))
        .with_state(app))
}

/// `POST /predict` and `GET /readyz`: a prediction, here and now.
#[expect(
    clippy::disallowed_methods,
    reason = "the failure on purpose: the loop makes the prediction and does nothing else meanwhile"
)]
async fn predict(State(app): State<App>, Query(query): Query<PredictQuery>) -> Json<Prediction> {
    let work = query.work.get();
    Json(app.predictions.begin().run(|| thread::sleep(work)))
}

/// `GET /livez`: whether predictions make progress. It needs no thread, but it needs the loop.
async fn livez(State(app): State<App>, Query(query): Query<LivezQuery>) -> Liveness {
    app.predictions.liveness(query.recent.get())
}
