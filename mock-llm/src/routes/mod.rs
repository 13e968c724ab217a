//! The routes; each file is one group of them.

mod admin;
mod anthropic;
mod completions;
mod config;
mod metrics;
mod openai;
mod plain;

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Router, middleware};

use crate::call;
use crate::mock::Mock;
use crate::refusal::Refusal;

/// The largest request body. It is large, because long contexts show what a server in between copies.
const BODY_LIMIT: usize = 16 << 20;

/// All routes of the service.
pub fn router(mock: &Mock) -> Router {
    Router::new()
        .route("/slow_stream", get(plain::slow_stream))
        .route("/v1/models", get(openai::models))
        .route("/v1/chat/completions", post(openai::chat))
        .route("/v1/completions", post(openai::completion))
        .route("/v1/messages", post(anthropic::messages))
        .route("/health", get(admin::health))
        .route("/stats", get(admin::stats))
        .route("/streams", get(admin::streams))
        .route("/metrics", get(metrics::metrics))
        .route("/admin/config", get(config::show).post(config::change))
        .route("/admin/quiesce", post(admin::quiesce))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn_with_state(mock.clone(), call::note))
        .with_state(mock.clone())
}

async fn not_found(request: Request) -> Refusal {
    let message = format!(
        "Unknown request URL: {} {}.",
        request.method(),
        request.uri().path()
    );
    Refusal::new(StatusCode::NOT_FOUND, message)
}

async fn wrong_method(request: Request) -> Refusal {
    let message = format!(
        "{} is not allowed for {}.",
        request.method(),
        request.uri().path()
    );
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, message)
}
