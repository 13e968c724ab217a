use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Version};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;

use crate::clock::unix_us;
use crate::ledger::{Kind, Opening};
use crate::mock::Mock;
use crate::socket::Peer;

/// The header that names a request, in both directions.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Which attempt a request is, from 0. The clients that OpenAI and Anthropic publish send it, because they
/// repeat failed requests by themselves.
const RETRY_COUNT: HeaderName = HeaderName::from_static("x-stainless-retry-count");

/// The longest request id that is kept; a longer one is replaced, because the history keeps thousands.
const LONGEST_ID: usize = 256;

/// What is known of a request when it arrives.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its id: the client's, or a generated one.
    pub request_id: Arc<str>,
    /// When it arrived, for the schedule.
    pub arrived: Instant,
    /// When it arrived, for the ledger.
    pub started_us: u64,
    /// Which attempt it is, from 0.
    pub retry: u32,
    /// Who sent it.
    pub peer: Peer,
}

impl Call {
    /// What the ledger notes of the request when its account is opened.
    #[must_use]
    pub fn opening(&self, kind: Kind) -> Opening {
        Opening {
            kind,
            request_id: Arc::clone(&self.request_id),
            started_us: self.started_us,
            retry: self.retry,
            peer: Some(self.peer.clone()),
        }
    }
}

/// Notes the arrival of a request before any handler runs, and echoes its id in the response.
pub async fn note(
    State(mock): State<Mock>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let call = Call {
        arrived: Instant::now(),
        started_us: unix_us(),
        request_id: given_id(request.headers()).unwrap_or_else(|| mock.names().next()),
        retry: retry_count(request.headers()),
        peer: peer.of_stream(request.version() == Version::HTTP_2),
    };
    let echo = HeaderValue::from_str(&call.request_id);
    request.extensions_mut().insert(call);
    let mut response = next.run(request).await;
    if let Ok(echo) = echo {
        response.headers_mut().insert(REQUEST_ID, echo);
    }
    response
}

fn given_id(headers: &HeaderMap) -> Option<Arc<str>> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    (!id.is_empty() && id.len() <= LONGEST_ID).then(|| id.into())
}

fn retry_count(headers: &HeaderMap) -> u32 {
    let count = headers
        .get(RETRY_COUNT)
        .and_then(|count| count.to_str().ok());
    count.and_then(|count| count.parse().ok()).unwrap_or(0)
}
