//! The percentage, readable and changeable while the app runs.

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;

use super::Rollout;
use super::percentage::{Percentage, PercentageError};
use crate::error::error_response;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedPercentage {
    percentage: Percentage,
}

impl Rollout {
    /// `GET /rollout` answers the [snapshot](Self::snapshot) as JSON. `PUT /rollout?percentage=20`, or
    /// `PUT /rollout` with `{"percentage": 20}`, sets the percentage at once and answers the same. Anything
    /// but a whole number from 0 to 100 is refused with 400, and nothing changes.
    ///
    /// There is no authentication: mount it where only operators reach it, such as a port of its own.
    pub fn routes<S>(&self) -> Router<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        Router::new()
            .route("/rollout", get(show).put(change))
            .with_state(self.clone())
    }
}

async fn show(State(rollout): State<Rollout>) -> Response {
    Json(rollout.snapshot()).into_response()
}

async fn change(
    State(rollout): State<Rollout>,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Response {
    match wanted(query.as_deref().unwrap_or_default(), &body) {
        Ok(percentage) => {
            rollout.set_percentage(percentage);
            show(State(rollout)).await
        }
        Err(why) => {
            let message = format!(
                "{why}; send ?percentage=N or {{\"percentage\": N}} with a whole number from 0 to 100"
            );
            error_response(StatusCode::BAD_REQUEST, "invalid_percentage", &message)
        }
    }
}

fn wanted(query: &str, body: &[u8]) -> Result<Percentage, String> {
    if query.is_empty() {
        let wanted: Result<WantedPercentage, _> = serde_json::from_slice(body);
        return wanted
            .map(|wanted| wanted.percentage)
            .map_err(|error| error.to_string());
    }
    let given = query.strip_prefix("percentage=").unwrap_or(query);
    given
        .parse()
        .map_err(|error: PercentageError| error.to_string())
}
