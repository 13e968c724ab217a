//! One way to start the service in a test, and two ways to talk to it.
#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary uses its own part of this"
)]

mod raw;

use std::time::Duration;

use mock_llm::Mock;
use mock_llm::config::Config;
use mock_llm::ledger::StreamRecord;
use mock_llm::socket::Listener;
use mock_llm::stats::Stats;
use service::Drain;

pub use raw::{Answer, RawClient};

/// Longer than anything on a loaded machine takes, and short enough to wait for when it fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A served mock on a free port, in the test's own runtime.
#[derive(Clone)]
pub struct Served {
    pub mock: Mock,
    pub address: std::net::SocketAddr,
    pub http: reqwest::Client,
}

/// A mock with quick tokens: the first after 5 ms, then one every 5 ms, 5 in all.
pub async fn served() -> Served {
    served_with(|_| {}).await
}

/// The same with other settings.
pub async fn served_with(change: impl FnOnce(&mut Config)) -> Served {
    // Only the first caller of a process can install it, and any will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = Config {
        ttft: "5ms".parse().unwrap(),
        interval: "5ms".parse().unwrap(),
        chunks: 5,
        ..Config::default()
    };
    change(&mut config);
    let listener = Listener::bind(
        "127.0.0.1:0".parse().unwrap(),
        "--listen",
        config.send_buffer,
    )
    .unwrap()
    .with_write_timeout(config.write_timeout);
    let address = listener.address().unwrap();
    let mock = Mock::new(config, &listener);
    let serving = mock.clone();
    tokio::spawn(async move { serving.serve(listener, Drain::new(Duration::ZERO)).await });
    let http = reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .unwrap();
    Served {
        mock,
        address,
        http,
    }
}

impl Served {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        self.http.get(self.url(path)).send().await.unwrap()
    }

    /// Asks for a chat completion, with `fault` if it is not empty.
    pub async fn chat(&self, body: serde_json::Value, fault: &str) -> reqwest::Response {
        let mut request = self
            .http
            .post(self.url("/v1/chat/completions"))
            .body(body.to_string());
        if !fault.is_empty() {
            request = request.header("x-mock-fault", fault);
        }
        request.send().await.unwrap()
    }

    pub async fn stats(&self) -> Stats {
        let text = self.get("/stats").await.text().await.unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Waits until no stream is open, then gives those that have ended.
    pub async fn ended(&self) -> Vec<StreamRecord> {
        let ledger = self.mock.ledger();
        let quiet = tokio::time::timeout(PATIENCE, ledger.quiesced()).await;
        assert!(
            quiet.is_ok(),
            "streams stay open: {:?}",
            ledger.open_streams()
        );
        let ended = ledger.ended_streams(0);
        ended
            .into_iter()
            .map(std::sync::Arc::unwrap_or_clone)
            .collect()
    }

    /// Changes settings while it runs; the status and what was answered.
    pub async fn configure(&self, changes: serde_json::Value) -> (u16, serde_json::Value) {
        let request = self.http.post(self.url("/admin/config"));
        let response = request.body(changes.to_string()).send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap())
    }

    /// Waits until `count` streams have reached `condition`.
    pub async fn until(&self, count: usize, condition: impl Fn(&StreamRecord) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self
            .mock
            .ledger()
            .open_streams()
            .iter()
            .filter(|record| condition(record))
            .count()
            < count
        {
            assert!(
                tokio::time::Instant::now() < deadline,
                "no {count} streams get there"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// The payloads of the events of a stream.
pub fn payloads(text: &str) -> Vec<&str> {
    assert!(
        text.is_empty() || text.ends_with("\n\n"),
        "an event is cut short: {text:?}"
    );
    text.split_terminator("\n\n")
        .map(|event| {
            event
                .strip_prefix("data: ")
                .expect("an event begins with data:")
        })
        .collect()
}

/// The request for a short chat, streamed or not.
pub fn chat_body(stream: bool) -> serde_json::Value {
    serde_json::json!({
        "model": "any", "stream": stream, "messages": [{ "role": "user", "content": "Hello" }]
    })
}
