use std::fmt::Display;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Most characters of a parser's message that go into an answer: a parser may quote what it found.
const MESSAGE_LIMIT: usize = 200;

/// Why a body was not taken; as a response, a status and a sentence in JSON.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It has more bytes than are taken. 413.
    #[error("the request body is larger than {limit} bytes")]
    TooLarge {
        /// Most bytes that are taken.
        limit: usize,
    },
    /// It is not JSON, or not of the shape that is expected. 400.
    #[error("the request body cannot be used: {reason}")]
    Invalid {
        /// What the parser said, cut to a bounded length.
        reason: String,
    },
    /// The client broke off. 400, should it still listen.
    #[error("the request body broke off")]
    BrokenOff,
    /// The rest did not come in time. 408.
    #[error("the request body did not come within {limit:?}")]
    TooSlow {
        /// How long it may take.
        limit: Duration,
    },
    /// As many bodies as may wait are waiting. 503 with `Retry-After`.
    #[error("{waiting} large request bodies are waiting already")]
    QueueFull {
        /// How many may wait.
        waiting: usize,
    },
    /// It waited for its turn as long as one may. 503 with `Retry-After`.
    #[error("the turn of this large request body did not come within {limit:?}")]
    TurnTimeout {
        /// How long one may wait.
        limit: Duration,
    },
    /// The thread that worked on it gave up. 500.
    #[error("the request body could not be processed")]
    Failed,
}

impl BodyError {
    /// A body that a parser, or the check of its text, refused with `reason`.
    pub fn invalid(reason: impl Display) -> Self {
        let reason = reason.to_string();
        let reason = match reason.char_indices().nth(MESSAGE_LIMIT) {
            Some((end, _)) => format!("{}…", &reason[..end]),
            None => reason,
        };
        Self::Invalid { reason }
    }

    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "request_body_too_large"),
            Self::Invalid { .. } => (StatusCode::BAD_REQUEST, "invalid_request_body"),
            Self::BrokenOff => (StatusCode::BAD_REQUEST, "request_body_failed"),
            Self::TooSlow { .. } => (StatusCode::REQUEST_TIMEOUT, "request_timeout"),
            Self::QueueFull { .. } => (StatusCode::SERVICE_UNAVAILABLE, "queue_full"),
            Self::TurnTimeout { .. } => (StatusCode::SERVICE_UNAVAILABLE, "queue_timeout"),
            Self::Failed => (StatusCode::INTERNAL_SERVER_ERROR, "processing_failed"),
        }
    }
}

impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        let (status, code) = self.status_and_code();
        let kind = if status.is_client_error() {
            "invalid_request_error"
        } else {
            "server_error"
        };
        let error = json!({"message": self.to_string(), "type": kind, "param": null, "code": code});
        let mut response = (status, Json(json!({ "error": error }))).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let soon = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, soon);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parser_that_quotes_what_it_found_does_not_make_a_long_answer() {
        let error = BodyError::invalid("ü".repeat(1 << 20));
        assert!(error.to_string().len() < 1000);
    }
}
