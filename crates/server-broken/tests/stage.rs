//! The broken server with four threads in front of an upstream of its own, asked by an HTTP client.

use std::time::Duration;

use mock_llm::config::Config;
use serde_json::Value;

use crate::SERVER;
use crate::support::{PATIENCE, Stand, upstream};

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
    pub async fn start(flags: &[&str]) -> Self {
        // Only the first caller of a process can install it, and any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (mock, address) = upstream(Config::default());
        let threads = THREADS.to_string();
        let flags = [&["--pool-threads", &threads], flags].concat();
        let stand = Stand::before(SERVER, (mock, address), &flags).await;
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .unwrap();
        Self {
            upstream: format!("http://{address}"),
            url: format!("http://{}", stand.server),
            stand,
            http,
        }
    }

    pub async fn get(&self, url: &str) -> reqwest::Response {
        self.http.get(url).send().await.unwrap()
    }

    pub async fn gauge(&self, name: &str) -> Value {
        self.stand.gauges().await[name].take()
    }

    /// Whether a check is answered within half a second.
    pub async fn answers(&self, path: &str) -> bool {
        let check = self.http.get(format!("{}{path}", self.url)).send();
        let answer = tokio::time::timeout(Duration::from_millis(500), check).await;
        answer.is_ok_and(|answer| answer.unwrap().status() == 200)
    }
}
