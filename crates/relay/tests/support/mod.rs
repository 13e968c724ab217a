//! A mock upstream with a ledger, an app that relays to it, and what is left of either.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use mock_llm::Mock;
use mock_llm::config::Config;
use mock_llm::ledger::StreamRecord;
use relay::{Protocol, Relay, Timeouts};
pub use testkit::{PATIENCE, eventually};
use tokio::net::TcpListener;

pub struct Stand {
    pub mock: Mock,
    pub relay: Relay,
    pub app: SocketAddr,
    pub client: reqwest::Client,
}

impl Stand {
    /// With quick tokens: the first after 5 ms, then one every 5 ms, 5 in all.
    pub async fn start(
        protocol: Protocol,
        timeouts: Timeouts,
        permits: usize,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let (mock, upstream) = upstream(change);
        let upstream = format!("http://{upstream}").parse().unwrap();
        let relay = Relay::new(upstream, timeouts, permits).unwrap();
        Self::of(mock, relay.with_protocol(protocol).unwrap()).await
    }

    /// With an app that relays so.
    pub async fn of(mock: Mock, relay: Relay) -> Self {
        let app = spawn_app(relay.clone()).await;
        Self {
            mock,
            relay,
            app,
            client: testkit::client(),
        }
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        let url = format!("http://{}{path}", self.app);
        self.client.get(url).send().await.unwrap()
    }

    /// Streams open at the upstream, by its ledger.
    pub fn open(&self) -> u64 {
        self.mock.ledger().tally().open
    }

    /// Waits until nothing is held any more, neither here nor at the upstream.
    pub async fn is_released(&self) {
        eventually("everything is released", async || {
            is_idle(&self.relay) && self.open() == 0
        })
        .await;
        assert!(self.mock.ledger().tally().is_conserved());
    }

    /// The last stream that ended at the upstream.
    pub fn last_ended(&self) -> StreamRecord {
        let ended = self.mock.ledger().ended_streams(0);
        StreamRecord::clone(ended.last().expect("one has ended"))
    }
}

/// A mock upstream with quick tokens, and where it listens.
pub fn upstream(change: impl FnOnce(&mut Config)) -> (Mock, SocketAddr) {
    let mut config = testkit::quick();
    change(&mut config);
    testkit::upstream(config)
}

/// An app that relays so.
pub async fn spawn_app(relay: Relay) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback(handler).with_state(relay);
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

async fn handler(State(relay): State<Relay>, request: Request) -> Response {
    let uri = request.uri().clone();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    relay.forward(request, path).await
}

/// Limits that no test reaches unless it lowers one: longer than anything is waited for.
pub fn generous() -> Timeouts {
    let limit = 2 * PATIENCE;
    Timeouts {
        connect: limit,
        idle: limit,
        total: limit,
    }
}

/// Whether nothing is held any more: no permit, no stream, no request without a head.
pub fn is_idle(relay: &Relay) -> bool {
    let now = relay.snapshot();
    (now.permits_in_use, now.streams_open, now.awaiting_head) == (0, 0, 0)
}
