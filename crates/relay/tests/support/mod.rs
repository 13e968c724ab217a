//! A mock upstream with a ledger, an app that relays to it, and what is left of either.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use mock_llm::Mock;
use mock_llm::config::Config;
use mock_llm::ledger::StreamRecord;
use mock_llm::socket::Listener;
use relay::{Protocol, Relay, Timeouts};
use service::Drain;
use tokio::net::TcpListener;

/// Longer than anything takes that comes to its end, on a busy machine too.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The versions of HTTP that the upstream can be asked in.
pub const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2PriorKnowledge];

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
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let app = listener.local_addr().unwrap();
        let routes = Router::new().fallback(handler).with_state(relay.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        let client = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .timeout(PATIENCE);
        Self {
            mock,
            relay,
            app,
            client: client.build().unwrap(),
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

    /// Waits until nothing is held any more: no permit, no stream, neither here nor at the upstream.
    pub async fn is_released(&self) {
        eventually("everything is released", || {
            let now = self.relay.snapshot();
            let held = (now.permits_in_use, now.streams_open, now.awaiting_head);
            held == (0, 0, 0) && self.open() == 0
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
    let mut config = Config {
        ttft: "5ms".parse().unwrap(),
        interval: "5ms".parse().unwrap(),
        chunks: 5,
        ..Config::default()
    };
    change(&mut config);
    let loopback = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind(loopback, "--listen", config.send_buffer).unwrap();
    let address = listener.address().unwrap();
    let mock = Mock::new(config, &listener);
    let serving = mock.clone();
    tokio::spawn(async move { serving.serve(listener, Drain::new(Duration::ZERO)).await });
    (mock, address)
}

async fn handler(State(relay): State<Relay>, request: Request) -> Response {
    let uri = request.uri().clone();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    relay.forward(request, path).await
}

/// Limits that no test reaches unless it lowers one.
pub fn generous() -> Timeouts {
    Timeouts {
        connect: PATIENCE,
        idle: PATIENCE,
        total: PATIENCE,
    }
}

pub async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "not so: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
