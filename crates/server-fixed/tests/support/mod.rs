//! A mock upstream in this process, a server in a process of its own, and clients that hang up: what
//! the tests of both servers share.
#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary uses a part of it"
)]

mod client;
pub mod server;
mod stage;
pub mod stalls;

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use mock_llm::Mock;
use mock_llm::config::Config;
use mock_llm::socket::Listener;
use serde_json::Value;
use service::Drain;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

pub use client::{Client, Request};
pub use stage::{FLOWS, Flow, STAGES, Stage};

/// Longer than anything takes that comes to its end, on a busy machine too.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// How long nothing must change before it counts as stuck.
pub const STUCK: Duration = Duration::from_millis(1500);

/// A mock upstream on a free port, served by the test's own runtime.
pub fn upstream(config: Config) -> (Mock, SocketAddr) {
    let loopback = "127.0.0.1:0".parse().expect("an address");
    let listener = Listener::bind(loopback, "--listen", None).expect("a free port");
    let address = listener.address().expect("its address");
    let mock = Mock::new(config, &listener);
    let serving = mock.clone();
    tokio::spawn(async move { serving.serve(listener, Drain::new(Duration::ZERO)).await });
    (mock, address)
}

/// A server in front of a mock upstream; it ends with this value.
pub struct Stand {
    pub mock: Mock,
    pub server: SocketAddr,
    pub process: u32,
    gauges: SocketAddr,
    _child: Child,
    _lifeline: Option<ChildStdin>,
}

impl Stand {
    /// Starts `binary` in front of a mock of its own.
    pub async fn start(binary: &str, flags: &[&str]) -> Self {
        Self::before(binary, upstream(Config::default()), flags).await
    }

    /// Starts `binary` in front of this mock.
    pub async fn before(
        binary: &str,
        (mock, upstream): (Mock, SocketAddr),
        flags: &[&str],
    ) -> Self {
        let mut child = Command::new(binary)
            .args(["--listen", "127.0.0.1:0", "--gauges", "127.0.0.1:0"])
            .args(["--upstream", &format!("http://{upstream}")])
            .args(["--worker-threads", "2"])
            .args(flags)
            .env(service::lifeline::VARIABLE, "stdin")
            .env("RUST_LOG", "error")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the server starts");
        let output = child.stdout.take().expect("piped");
        let mut lines = BufReader::new(output).lines();
        let mut announced = async |what: &str| -> SocketAddr {
            let line = lines.next_line().await.expect("read").expect("a line");
            let address = line.strip_prefix(what).expect("the announcement");
            address.parse().expect("an address")
        };
        let gauges = announced("gauges on http://").await;
        let server = announced("listening on http://").await;
        Self {
            mock,
            server,
            process: child.id().expect("it runs"),
            gauges,
            _lifeline: child.stdin.take(),
            _child: child,
        }
    }

    /// Sends a request.
    pub async fn send(&self, request: &Request) -> Client {
        Client::send(self.server, request).await
    }

    /// Sends a request that is answered at once, if at all.
    pub async fn ask(&self) -> Client {
        let quick = [("x-mock-ttft", "0s"), ("x-mock-chunks", "1")];
        self.send(&Request::get("/disconnect/stream").with(&quick))
            .await
    }

    /// The server's gauges.
    pub async fn gauges(&self) -> Value {
        let mut client = Client::send(self.gauges, &Request::get("/gauges").closing()).await;
        let answer = client.read_to_end().await;
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
        serde_json::from_str(body).expect("JSON")
    }

    /// A figure of the gauge `disconnect`.
    pub async fn figure(&self, name: &str) -> u64 {
        self.gauges().await["disconnect"][name]
            .as_u64()
            .unwrap_or_else(|| panic!("no {name}"))
    }

    /// Permits in use.
    pub async fn permits(&self) -> u64 {
        self.figure("permits_in_use").await
    }

    /// Streams open at the upstream.
    pub fn open(&self) -> u64 {
        self.mock.ledger().tally().open
    }

    /// `count` clients at once that hang up at `stage`.
    pub async fn hang_ups(&self, count: u64, stage: Stage, flow: Flow, request: &Request) {
        let request = request.clone().with(&stage.shape(flow));
        let started = || self.mock.ledger().tally().started;
        let expected = started() + count;
        let mut clients = Vec::new();
        for _ in 0..count {
            clients.push(self.send(&request).await);
        }
        eventually("the upstream has the requests", async || {
            started() >= expected
        })
        .await;
        for client in &mut clients {
            client.reach(stage, request.events_before_content()).await;
        }
        drop(clients);
    }
}

/// Waits until `is_so`.
pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
