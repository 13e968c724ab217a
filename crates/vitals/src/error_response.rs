//! The answers of a handler whose blocking job gave no result.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::bulkhead_error::BulkheadError;
use crate::pool::PoolError;

/// The body of an answer to [`BulkheadError`] or [`PoolError`].
#[derive(Serialize)]
struct ErrorAnswer {
    error: ErrorText,
}

#[derive(Serialize)]
struct ErrorText {
    message: String,
    code: &'static str,
}

/// 503 with `Retry-After: 1` if there was no room, 503 if there was no thread, 500 for a panic. The body
/// is `{"error": {"message", "code"}}`. The text of a panic goes to the log and not to the client.
impl IntoResponse for BulkheadError {
    fn into_response(self) -> Response {
        match &self {
            Self::Full(full) => {
                let mut response = answer(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "bulkhead_full",
                    full.to_string(),
                );
                let retry_after = HeaderValue::from_static("1");
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, retry_after);
                response
            }
            Self::NoThread { .. } => answer(
                StatusCode::SERVICE_UNAVAILABLE,
                "no_thread",
                self.to_string(),
            ),
            Self::Panicked { .. } => panicked(&self),
        }
    }
}

/// 500 for a panic, 503 while the runtime shuts down. The body is as for [`BulkheadError`].
impl IntoResponse for PoolError {
    fn into_response(self) -> Response {
        match &self {
            Self::Panicked { .. } => panicked(&self),
            Self::ShuttingDown => answer(
                StatusCode::SERVICE_UNAVAILABLE,
                "shutting_down",
                self.to_string(),
            ),
        }
    }
}

fn panicked(error: &dyn std::error::Error) -> Response {
    tracing::error!(%error, "a request gets a 500");
    answer(
        StatusCode::INTERNAL_SERVER_ERROR,
        "panicked",
        "a blocking job panicked".to_owned(),
    )
}

fn answer(status: StatusCode, code: &'static str, message: String) -> Response {
    let error = ErrorText { message, code };
    (status, Json(ErrorAnswer { error })).into_response()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::bulkhead_error::BulkheadFull;

    #[test]
    fn only_a_full_bulkhead_asks_to_come_back() {
        let full = BulkheadFull {
            name: "reports".to_owned(),
            capacity: 4,
            busy: 4,
            queued: 8,
            queue_limit: 8,
            oldest_wait: Duration::from_millis(1500),
        };
        assert_eq!(
            full.to_string(),
            "reports has no room: 4 of 4 threads busy, 8 queued, the oldest for 1.5s"
        );
        let full = BulkheadError::from(full).into_response();
        assert_eq!(full.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(full.headers()[header::RETRY_AFTER], "1");

        let stopping = PoolError::ShuttingDown.into_response();
        assert_eq!(stopping.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(stopping.headers().get(header::RETRY_AFTER).is_none());

        let message = "secret".to_owned();
        let panicked = PoolError::Panicked { message }.into_response();
        assert_eq!(panicked.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
