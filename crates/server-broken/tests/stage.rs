//! The broken server with four threads in front of an upstream of its own, asked by an HTTP client.

use std::time::Duration;

use serde_json::Value;
use testkit::{Stand, client};

use crate::SERVER;

/// Threads of the server's pool.
pub const THREADS: usize = 4;

/// Both end with this.
pub struct Stage {
    pub stand: Stand,
    pub upstream: String,
    pub url: String,
    pub http: reqwest::Client,
}

impl Stage {
    pub fn start(flags: &[&str]) -> Self {
        let threads = THREADS.to_string();
        let flags = [&["--pool-threads", &threads], flags].concat();
        let stand = Stand::start(SERVER, &flags);
        Self {
            upstream: format!("http://{}", stand.upstream),
            url: stand.server.url(""),
            http: client(),
            stand,
        }
    }

    pub async fn get(&self, url: &str) -> reqwest::Response {
        self.http.get(url).send().await.unwrap()
    }

    pub async fn gauge(&self, name: &str) -> Value {
        self.stand.server.gauge(name).await
    }

    /// Whether a check is answered within half a second.
    pub async fn answers(&self, path: &str) -> bool {
        let check = self.http.get(format!("{}{path}", self.url)).send();
        let answer = tokio::time::timeout(Duration::from_millis(500), check).await;
        answer.is_ok_and(|answer| answer.unwrap().status() == 200)
    }
}
