//! One way to start the service in a test, and two ways to talk to it.

use std::net::SocketAddr;

use mock_llm::Mock;
use mock_llm::config::Config;
use mock_llm::ledger::StreamRecord;
use mock_llm::stats::Stats;
pub use testkit::{Client, PATIENCE, Request, Rest, eventually};

/// A served mock on a free port, in the test's own runtime.
#[derive(Clone)]
pub struct Served {
    pub mock: Mock,
    pub address: SocketAddr,
    pub http: reqwest::Client,
}

/// A mock with quick tokens: the first after 5 ms, then one every 5 ms, 5 in all.
pub async fn served() -> Served {
    served_with(|_| {}).await
}

/// The same with other settings.
pub async fn served_with(change: impl FnOnce(&mut Config)) -> Served {
    let mut config = testkit::quick();
    change(&mut config);
    let (mock, address) = testkit::upstream(config);
    Served {
        mock,
        address,
        http: testkit::client(),
    }
}

/// Asks for `path` by a client that sees every byte and can leave in any way.
pub async fn raw_get(address: SocketAddr, path: &str) -> Client {
    Client::send_to(address, &Request::get(path).closing()).await
}

/// The same with a request for a chat, and one more header.
pub async fn raw_chat(address: SocketAddr, header: (&str, &str), body: &str) -> Client {
    let request = Request::post("/v1/chat/completions", body);
    Client::send_to(address, &request.with(&[header]).closing()).await
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
        let what = format!("{count} streams get there");
        eventually(&what, async || {
            let open = self.mock.ledger().open_streams();
            open.iter().filter(|record| condition(record)).count() >= count
        })
        .await;
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
