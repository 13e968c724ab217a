//! What can go wrong, each as its own value, and the one place where it becomes an answer.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::permits::Shed;
use crate::resolver::LookupError;

/// Any error, boxed.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Why an exchange could not be relayed, or not to its end.
///
/// An app that has an HTTP client of its own can answer that client's failures in the same manner. It
/// can make [`Shed`](Self::Shed), [`Connect`](Self::Connect), [`ConnectTimeout`](Self::ConnectTimeout),
/// [`HeadTimeout`](Self::HeadTimeout), [`Deadline`](Self::Deadline) and [`Upstream`](Self::Upstream).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// A limit is reached; [`Shed::of`] says which.
    #[error(transparent)]
    Shed(#[from] Shed),
    /// No connection to the upstream: refused, unreachable, no such name, TLS failed.
    #[error("the upstream cannot be reached")]
    Connect {
        /// What the connector said.
        source: BoxError,
    },
    /// No connection to the upstream in time.
    #[error("no connection to the upstream after {waited:.1?} (limit {limit:?})")]
    ConnectTimeout {
        /// How long it took until it was given up.
        waited: Duration,
        /// [`Timeouts::connect`](crate::Timeouts::connect).
        limit: Duration,
    },
    /// Connected, but no response head in time.
    #[error("no response head from the upstream after {waited:.1?} (limit {limit:?})")]
    HeadTimeout {
        /// How long it was waited for.
        waited: Duration,
        /// [`Timeouts::idle`](crate::Timeouts::idle).
        limit: Duration,
    },
    /// The upstream fell silent in mid-stream.
    #[error("the upstream was silent for {waited:.1?} (limit {limit:?})")]
    #[non_exhaustive]
    Idle {
        /// How long nothing came.
        waited: Duration,
        /// [`Timeouts::idle`](crate::Timeouts::idle).
        limit: Duration,
    },
    /// The whole exchange took too long.
    #[error("the exchange took {waited:.1?} (limit {limit:?})")]
    Deadline {
        /// How long it had taken.
        waited: Duration,
        /// [`Timeouts::total`](crate::Timeouts::total).
        limit: Duration,
    },
    /// The upstream's connection or its protocol broke.
    #[error("the upstream broke off")]
    Upstream {
        /// What broke.
        source: BoxError,
    },
    /// The upstream ended its event stream without the terminal event, or another body before its
    /// announced end.
    #[error("the upstream ended its answer after {bytes} bytes, before its end")]
    #[non_exhaustive]
    Truncated {
        /// Bytes relayed until then.
        bytes: u64,
    },
    /// The request cannot be sent to any upstream.
    #[error("the request cannot be relayed: {reason}")]
    #[non_exhaustive]
    InvalidRequest {
        /// What is wrong with it.
        reason: String,
    },
    /// The app's own body cannot be written as JSON.
    #[error("the request body cannot be written as JSON")]
    #[non_exhaustive]
    Serialize {
        /// What cannot.
        source: BoxError,
    },
    /// The request's body is over the limit.
    #[error("the request body is larger than {limit} bytes")]
    #[non_exhaustive]
    BodyTooLarge {
        /// Most bytes that are taken.
        limit: usize,
    },
    /// The client's body broke off.
    #[error("the request body broke off")]
    #[non_exhaustive]
    RequestBody {
        /// What broke.
        source: BoxError,
    },
    /// The client did not send its body in time.
    #[error("the rest of the request body did not come within {waited:.1?} (limit {limit:?})")]
    #[non_exhaustive]
    RequestTimeout {
        /// How long nothing came, or how long the whole body took so far.
        waited: Duration,
        /// [`Timeouts::idle`](crate::Timeouts::idle), or [`Timeouts::total`](crate::Timeouts::total).
        limit: Duration,
    },
}

impl RelayError {
    /// The HTTP status, as long as no byte of a response is out.
    pub fn status(&self) -> StatusCode {
        self.answer().0
    }

    /// The `code` of the error object: stable, for programs.
    pub fn code(&self) -> &'static str {
        self.answer().1
    }

    /// What happened, for clients: the text of answers and error events. Of the causes it says only how
    /// the upstream failed, such as that a connection was refused or a certificate is not trusted. The
    /// causes' own texts may name the upstream's host; they are for the log, see
    /// [`with_causes`](Self::with_causes).
    pub fn message(&self) -> String {
        let text = self.to_string();
        let source = match self {
            Self::Connect { source } | Self::Upstream { source } | Self::RequestBody { source } => {
                source
            }
            _ => return text,
        };
        match harmless(&**source) {
            Some(cause) => format!("{text}: {cause}"),
            None => text,
        }
    }

    /// What happened, with all its causes, for the log and not for clients. The innermost cause matters
    /// most: hyper and reqwest show "error sending request" outside and keep "Connection refused" inside.
    pub fn with_causes(&self) -> String {
        let mut text = self.to_string();
        for cause in self.source().into_iter().flat_map(causes) {
            let inner = cause.to_string();
            if !text.ends_with(&inner) {
                text.push_str(": ");
                text.push_str(&inner);
            }
        }
        text
    }

    /// The error as an event of a stream whose events have no names, as OpenAI's chat completions.
    pub fn to_event(&self) -> Bytes {
        error_event(self.code(), &self.message())
    }

    /// The error as an event of a stream whose events have names, as Anthropic's messages:
    /// `event: error` with `{"type":"error","error":{"type":…,"message":…,"code":…}}`. The `type` is
    /// Anthropic's, the `code` is ours.
    pub fn to_named_event(&self) -> Bytes {
        let (status, code) = self.answer();
        let kind = match status {
            StatusCode::GATEWAY_TIMEOUT => "timeout_error",
            StatusCode::SERVICE_UNAVAILABLE => "overloaded_error",
            status if status.is_client_error() => "invalid_request_error",
            _ => "api_error",
        };
        let message = &self.message();
        let error = AnthropicError {
            kind,
            message,
            code,
        };
        let body = AnthropicBody {
            kind: "error",
            error,
        };
        let object = serde_json::to_string(&body).expect("strings always serialize");
        Bytes::from(format!("event: error\ndata: {object}\n\n"))
    }

    fn answer(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Shed(_) => (StatusCode::SERVICE_UNAVAILABLE, "upstream_limit_reached"),
            Self::Connect { .. } => (StatusCode::BAD_GATEWAY, "upstream_unreachable"),
            Self::ConnectTimeout { .. } => {
                (StatusCode::GATEWAY_TIMEOUT, "upstream_connect_timeout")
            }
            Self::HeadTimeout { .. } => (StatusCode::GATEWAY_TIMEOUT, "upstream_head_timeout"),
            Self::Idle { .. } => (StatusCode::GATEWAY_TIMEOUT, "upstream_idle_timeout"),
            Self::Deadline { .. } => (StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded"),
            Self::Upstream { .. } => (StatusCode::BAD_GATEWAY, "upstream_failed"),
            Self::Truncated { .. } => (StatusCode::BAD_GATEWAY, "upstream_truncated"),
            Self::InvalidRequest { .. } => (StatusCode::BAD_REQUEST, "invalid_request"),
            Self::Serialize { .. } => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "request_not_serializable",
            ),
            Self::BodyTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "request_body_too_large"),
            Self::RequestBody { .. } => (StatusCode::BAD_REQUEST, "request_body_failed"),
            Self::RequestTimeout { .. } => (StatusCode::REQUEST_TIMEOUT, "request_timeout"),
        }
    }
}

/// An error and its causes, outermost first. An I/O error needs a look inside: its `source` skips the
/// error that it was made of.
fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let within = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        match within {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => error.source(),
        }
    })
}

/// How it failed, in words without the names of hosts, certificates and addresses that the causes' own
/// texts may have.
fn harmless(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    causes(error).find_map(|cause| {
        if cause.is::<LookupError>() {
            return Some("its name cannot be looked up");
        }
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return Some(match tls {
                rustls::Error::InvalidCertificate(_) => "its certificate is not trusted",
                _ => "TLS failed",
            });
        }
        of_kind(cause.downcast_ref::<io::Error>()?.kind())
    })
}

fn of_kind(kind: io::ErrorKind) -> Option<&'static str> {
    Some(match kind {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset => "connection reset",
        io::ErrorKind::ConnectionAborted => "connection aborted",
        io::ErrorKind::BrokenPipe => "connection closed",
        io::ErrorKind::UnexpectedEof => "connection closed too early",
        io::ErrorKind::HostUnreachable => "host unreachable",
        io::ErrorKind::NetworkUnreachable => "network unreachable",
        io::ErrorKind::TimedOut => "timed out",
        _ => return None,
    })
}

/// The causes that the client does not get are logged: at `error` where the app itself is at fault, else
/// at `debug`, because failures of the upstream were logged when they happened.
impl IntoResponse for RelayError {
    fn into_response(self) -> Response {
        let (status, code) = self.answer();
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = self.with_causes(), "a request cannot be sent");
        } else if self.source().is_some() {
            tracing::debug!(error = self.with_causes(), "a request gets a {status}");
        }
        let mut response = error_response(status, code, &self.message());
        if let Self::Shed(_) = self {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// An answer in the shape that OpenAI's clients understand:
/// `{"error":{"message":…,"type":…,"param":null,"code":…}}`.
pub fn error_response(status: StatusCode, code: &str, message: &str) -> Response {
    let mut response = Response::new(Body::from(error_object(status, code, message)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The same error object as a server-sent event, for a stream whose head, with its status, is already
/// out. OpenAI's clients raise on a `data:` that holds an `error`.
pub fn error_event(code: &str, message: &str) -> Bytes {
    let object = error_object(StatusCode::INTERNAL_SERVER_ERROR, code, message);
    Bytes::from(format!("data: {object}\n\n"))
}

fn error_object(status: StatusCode, code: &str, message: &str) -> String {
    let kind = if status.is_client_error() {
        "invalid_request_error"
    } else {
        "server_error"
    };
    let error = OpenAiBody {
        error: OpenAiError {
            message,
            kind,
            param: None,
            code,
        },
    };
    serde_json::to_string(&error).expect("strings always serialize")
}

#[derive(Serialize)]
struct OpenAiBody<'a> {
    error: OpenAiError<'a>,
}

#[derive(Serialize)]
struct OpenAiError<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a str>,
    code: &'a str,
}

#[derive(Serialize)]
struct AnthropicBody<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    error: AnthropicError<'a>,
}

#[derive(Serialize)]
struct AnthropicError<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    message: &'a str,
    code: &'a str,
}

#[cfg(test)]
mod tests {
    use rustls::CertificateError;

    use super::*;
    use crate::permits::Scarce;

    #[test]
    fn a_client_hears_how_it_failed_and_nothing_of_where() {
        let io = |kind, inner: BoxError| -> BoxError { io::Error::new(kind, inner).into() };
        let certificate =
            rustls::Error::InvalidCertificate(CertificateError::Other(rustls::OtherError(
                std::sync::Arc::new(io::Error::other("not for llm.internal")),
            )));
        let other = io::ErrorKind::Other;
        let name = || "llm.internal".to_owned();
        for (source, said) in [
            (
                io(io::ErrorKind::ConnectionRefused, "llm.internal:443".into()),
                ": connection refused",
            ),
            (
                // As reqwest has it: wrapped in an I/O error, in another one.
                io(other, io(io::ErrorKind::InvalidData, certificate.into())),
                ": its certificate is not trusted",
            ),
            (
                io(other, rustls::Error::General("llm.internal".into()).into()),
                ": TLS failed",
            ),
            (
                io(other, LookupError::NoAddress { name: name() }.into()),
                ": its name cannot be looked up",
            ),
            ("llm.internal is not to be talked of".into(), ""),
        ] {
            let error = RelayError::Connect { source };
            let expected = format!("the upstream cannot be reached{said}");
            assert_eq!(error.message(), expected);
            let log = error.with_causes();
            assert!(log.contains("llm.internal"), "for the log: {log}");
            let event = error.to_event();
            assert!(!String::from_utf8_lossy(&event).contains("llm.internal"));
        }
    }

    #[test]
    fn the_event_has_all_four_keys_in_one_data_line() {
        let event = error_event("upstream_failed", "line one\nline two");
        let text = std::str::from_utf8(&event).unwrap();
        let json = text
            .strip_prefix("data: ")
            .and_then(|rest| rest.strip_suffix("\n\n"))
            .unwrap();
        assert!(!json.contains('\n'), "a line break would end the field");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(json).unwrap(),
            serde_json::json!({"error": {
                "message": "line one\nline two",
                "type": "server_error",
                "param": null,
                "code": "upstream_failed",
            }})
        );
    }

    #[test]
    fn only_shed_asks_to_come_back() {
        let shed = Shed {
            of: Scarce::Permits,
            limit: 2,
            waited: Duration::ZERO,
        };
        let shed = RelayError::from(shed).into_response();
        assert_eq!(shed.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(shed.headers()[RETRY_AFTER], "1");

        let limit = Duration::from_secs(60);
        let late = RelayError::HeadTimeout {
            waited: limit,
            limit,
        }
        .into_response();
        assert_eq!(late.status(), StatusCode::GATEWAY_TIMEOUT);
        assert!(late.headers().get(RETRY_AFTER).is_none());
    }

    #[test]
    fn messages_carry_the_measured_value_and_the_limit() {
        let error = RelayError::Idle {
            waited: Duration::from_millis(60_012),
            limit: Duration::from_secs(60),
        };
        assert_eq!(
            error.to_string(),
            "the upstream was silent for 60.0s (limit 60s)"
        );
    }
}
