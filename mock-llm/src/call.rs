use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Version};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;

use crate::Mock;
use crate::clock::unix_us;
use crate::dice::mix;
use crate::ledger::{Kind, Opening};
use crate::socket::Peer;

/// The header that names a request, in both directions.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Which attempt a request is, from 0, by the clients that OpenAI and Anthropic publish: they repeat a
/// request that failed, by themselves.
const RETRY_COUNT: HeaderName = HeaderName::from_static("x-stainless-retry-count");

/// A longer request id is replaced: the history keeps thousands of them.
const LONGEST_ID: usize = 256;

/// What is known of a request before anything is done about it.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its name: what the client calls it, or a generated one.
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
    /// What the ledger needs to know of it.
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

/// Generates ids for requests that come without one: the same sequence for the same seed.
#[derive(Debug)]
pub struct Names {
    seed: u64,
    given: AtomicU64,
}

impl Names {
    /// The sequence of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            given: AtomicU64::new(0),
        }
    }

    fn next(&self) -> Arc<str> {
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        format!("req_{:016x}", mix(mix(self.seed) ^ number)).into()
    }
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
