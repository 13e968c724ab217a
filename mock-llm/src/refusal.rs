use std::time::Duration;

use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::gate::Limits;
use crate::shape::BadParameter;
use crate::wire::dialect::{Dialect, ON_PURPOSE};
use crate::wire::request::BadRequest;

/// An error instead of an answer, not yet in the format of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    kind: Option<String>,
    message: String,
    param: Option<String>,
    retry_after: Option<Duration>,
}

impl Refusal {
    /// A request that asks for what is not there.
    #[must_use]
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            kind: None,
            message: message.into(),
            param: None,
            retry_after: None,
        }
    }

    /// A failure on purpose. Its type follows from the status if `kind` is `None`.
    #[must_use]
    pub fn on_purpose(
        status: StatusCode,
        kind: Option<&str>,
        retry_after: Option<Duration>,
    ) -> Self {
        Self {
            kind: kind.map(Into::into),
            retry_after,
            ..Self::new(status, ON_PURPOSE)
        }
    }

    /// A refusal because as many requests run and wait as the limits allow.
    #[must_use]
    pub fn queue_full(limits: Limits, retry_after: Duration) -> Self {
        let running = limits.max_running.unwrap_or_default();
        let message = format!(
            "Rate limit reached: {running} requests are running and {} are queued. Please try again \
             later.",
            limits.max_queued
        );
        Self {
            retry_after: Some(retry_after),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, message)
        }
    }

    /// The response in a dialect.
    #[must_use]
    pub fn respond(self, dialect: Dialect) -> Response {
        let kind = self
            .kind
            .as_deref()
            .unwrap_or_else(|| dialect.kind_of(self.status.as_u16()));
        let body = dialect.error(kind, &self.message, self.param.as_deref());
        let retry_after = self.retry_after.map(retry_after).unwrap_or_default();
        (
            self.status,
            retry_after,
            [(CONTENT_TYPE, "application/json")],
            body,
        )
            .into_response()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.respond(Dialect::OpenAi)
    }
}

impl From<BadParameter> for Refusal {
    fn from(bad: BadParameter) -> Self {
        Self {
            param: Some(bad.name.clone()),
            ..Self::new(StatusCode::BAD_REQUEST, bad.to_string())
        }
    }
}

impl From<BadRequest> for Refusal {
    fn from(bad: BadRequest) -> Self {
        Self {
            param: bad.param,
            ..Self::new(StatusCode::BAD_REQUEST, bad.message)
        }
    }
}

impl From<BytesRejection> for Refusal {
    fn from(rejection: BytesRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for Refusal {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(StatusCode::BAD_REQUEST, rejection.body_text())
    }
}

/// `Retry-After` in whole seconds, which is all that it can say, and `retry-after-ms`, which clients that
/// know it prefer.
fn retry_after(time: Duration) -> HeaderMap {
    let ms = time.as_millis();
    [
        (RETRY_AFTER, ms.div_ceil(1000)),
        (HeaderName::from_static("retry-after-ms"), ms),
    ]
    .into_iter()
    .filter_map(|(name, number)| Some((name, HeaderValue::from_str(&number.to_string()).ok()?)))
    .collect()
}
