//! When another upstream may still answer: as long as no byte of a body is out.

use std::future::ready;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::StatusCode;
use reqwest::{Body, Response, ResponseBuilderExt};
use tokio::time::Instant;

use crate::ending::Ending;
use crate::error::RelayError;
use crate::headers::body_length;

/// Why an upstream was given up for the next one.
#[derive(Debug)]
pub(crate) enum GivenUp {
    /// It answered with a status after which another upstream may do better.
    Refused(StatusCode),
    /// It failed before the first byte of its body.
    Failed(RelayError),
}

impl GivenUp {
    /// The labels of all reasons, sorted.
    pub(crate) const LABELS: [&'static str; 5] = [
        "connect_failed",
        "idle_timeout",
        "truncated",
        "upstream_failed",
        "upstream_status",
    ];

    pub(crate) fn label(&self) -> &'static str {
        let ending = match self {
            Self::Refused(status) => Ending::UpstreamStatus(status.as_u16()),
            Self::Failed(error) => Ending::of(error),
        };
        ending.label()
    }

    /// For the log.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Refused(status) => format!("the upstream answered {status}"),
            Self::Failed(error) => error.with_causes(),
        }
    }
}

/// Whether another upstream should be asked after an answer with this status: yes if this one is
/// overloaded or failed, no if the request itself is wrong.
pub(crate) fn is_refusal(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

/// Waits for the first bytes of the body, and returns the answer as if nothing had been read of it. A
/// body that is known to be empty is not waited for.
///
/// # Cancel safety
/// Dropping the future drops the answer, and with it the upstream's connection.
pub(crate) async fn first_byte(
    mut response: Response,
    idle: Duration,
) -> Result<Response, RelayError> {
    if body_length(&response) == Some(0) {
        return Ok(response);
    }
    let waiting = Instant::now();
    let first = async {
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if chunk.is_empty() => {}
                Ok(Some(chunk)) => return Ok(chunk),
                Ok(None) => return Err(RelayError::Truncated { bytes: 0 }),
                Err(error) => {
                    return Err(RelayError::Upstream {
                        source: error.without_url().into(),
                    });
                }
            }
        }
    };
    match tokio::time::timeout(idle, first).await {
        Ok(first) => Ok(put_back(first?, response)),
        Err(_) => Err(RelayError::Idle {
            waited: waiting.elapsed(),
            limit: idle,
        }),
    }
}

fn put_back(first: Bytes, response: Response) -> Response {
    let (status, version) = (response.status(), response.version());
    let (headers, extensions) = (response.headers().clone(), response.extensions().clone());
    let answer = http::Response::builder().url(response.url().clone());
    let bytes = stream::once(ready(Ok(first))).chain(response.bytes_stream());
    let mut answer = answer
        .body(Body::wrap_stream(bytes))
        .expect("nothing is set that could be wrong");
    (*answer.status_mut(), *answer.version_mut()) = (status, version);
    *answer.headers_mut() = headers;
    answer.extensions_mut().extend(extensions);
    answer.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_labels_are_sorted_and_those_of_endings() {
        assert!(GivenUp::LABELS.is_sorted());
        let limit = Duration::from_secs(1);
        for why in [
            GivenUp::Refused(StatusCode::BAD_GATEWAY),
            GivenUp::Failed(RelayError::Connect { source: "".into() }),
            GivenUp::Failed(RelayError::Truncated { bytes: 0 }),
            GivenUp::Failed(RelayError::Upstream { source: "".into() }),
            GivenUp::Failed(RelayError::Idle {
                waited: limit,
                limit,
            }),
        ] {
            assert!(GivenUp::LABELS.contains(&why.label()), "{why:?}");
            assert!(Ending::LABELS.contains(&why.label()), "{why:?}");
        }
    }

    #[test]
    fn only_overload_and_failure_are_reason_to_ask_another() {
        let of = |status| is_refusal(StatusCode::from_u16(status).unwrap());
        assert_eq!(
            [200, 400, 404, 408, 429, 500, 529].map(of),
            [false, false, false, false, true, true, true]
        );
    }
}
