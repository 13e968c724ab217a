use std::collections::HashSet;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::ledger::open_streams;

/// How old what was seen of the upstreams may be.
const FRESH: Duration = Duration::from_millis(10);

/// Tells whether a request has reached an upstream, by the upstreams' own ledgers. However many ask,
/// the ledgers are read once in 10 ms.
#[derive(Debug)]
pub(super) struct Witness {
    client: reqwest::Client,
    upstreams: Vec<String>,
    seen: Mutex<LastLook>,
}

#[derive(Debug, Default)]
struct LastLook {
    at: Option<Instant>,
    open: HashSet<String>,
}

impl Witness {
    pub(super) fn new(upstreams: Vec<String>) -> reqwest::Result<Self> {
        Ok(Self {
            // Nothing is kept open: connections to the upstream are counted.
            client: crate::http::client(false)?,
            upstreams,
            seen: Mutex::default(),
        })
    }

    /// Completes when an upstream has the request called `id`; never if none gets it.
    pub(super) async fn sees(&self, id: &str) {
        while !self.has(id).await {
            tokio::time::sleep(FRESH / 2).await;
        }
    }

    async fn has(&self, id: &str) -> bool {
        let mut seen = self.seen.lock().await;
        if seen.at.is_none_or(|at| at.elapsed() > FRESH) {
            seen.open.clear();
            for upstream in &self.upstreams {
                let open = open_streams(&self.client, upstream).await;
                let ids = open.into_iter().flatten().map(|stream| stream.request_id);
                seen.open.extend(ids);
            }
            seen.at = Some(Instant::now());
        }
        seen.open.contains(id)
    }
}
