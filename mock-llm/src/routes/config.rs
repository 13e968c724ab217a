use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use serde_json::{Map, Value};

use crate::mock::Mock;
use crate::refusal::Refusal;
use crate::settings::Settings;

/// `GET /admin/config`.
pub async fn show(State(mock): State<Mock>) -> Json<Settings> {
    Json(Settings::clone(&mock.settings()))
}

/// `POST /admin/config`: some of the keys that `GET` shows, as a JSON object. All of them are changed
/// or, with 400, none; the answer is what `GET` shows afterwards.
pub async fn change(
    State(mock): State<Mock>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Settings>, Refusal> {
    let changes: Map<String, Value> = serde_json::from_slice(&body?).map_err(|error| {
        let message = format!("The body of the request is no JSON object of settings: {error}");
        Refusal::new(StatusCode::BAD_REQUEST, message)
    })?;
    Ok(Json(Settings::clone(&*mock.change(&changes)?)))
}
