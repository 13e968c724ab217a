//! What the end-to-end tests share: real processes on free loopback ports.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod fake;
#[path = "../../../server-fixed/tests/support/stalls.rs"]
pub mod stalls;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use lab::stage::{Child, Records, Spec};
use stalls::Stalls;
use tempfile::TempDir;

/// The lab's binary.
pub const LAB: &str = env!("CARGO_BIN_EXE_lab");

/// An upstream and a server, which end with this value.
pub struct Stage {
    pub upstream: Child,
    pub server: Child,
    folder: TempDir,
}

impl Stage {
    /// Starts `server-broken` or `server-fixed` in front of a mock upstream, with further flags.
    pub async fn start(server: &str, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let records = Records::below(folder.path());
        let upstream = upstream(folder.path(), &records).await;
        let to = upstream.url("listening");
        let server = start_server(server, &to, flags, folder.path(), &records).await;
        Self {
            upstream,
            server,
            folder,
        }
    }

    /// URL of a route of the server.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.url("listening"))
    }

    /// URL of a route of the upstream.
    pub fn upstream_url(&self, path: &str) -> String {
        format!("{}{path}", self.upstream.url("listening"))
    }

    /// The server's gauges.
    pub async fn gauges(&self) -> serde_json::Value {
        json(&format!("{}/gauges", self.server.url("gauges"))).await
    }

    /// Holds the four threads of a broken server by streams, as long as they are kept.
    pub async fn hold_the_pool(&self) -> Vec<reqwest::Response> {
        let client = lab::http::client(false).expect("a client");
        let mut streams = Vec::new();
        for _ in 0..4 {
            let url = self.url("/chat/stream?ttft=1ms&interval=100ms&chunks=3000");
            streams.push(client.get(url).send().await.expect("a stream"));
        }
        eventually("every thread is held", || async {
            self.gauges().await["pool"]["busy"] == 4
        })
        .await;
        streams
    }

    /// The upstream's ledger.
    pub async fn stats(&self) -> serde_json::Value {
        json(&self.upstream_url("/stats")).await
    }
}

/// A mock upstream on a free port.
pub async fn upstream(folder: &Path, records: &Records) -> Child {
    let spec = Spec {
        name: "mock-llm".to_owned(),
        args: ["--listen", "127.0.0.1:0"].map(str::to_owned).to_vec(),
        announces: vec!["listening"],
        log: folder.join("upstream.log"),
    };
    Child::start(spec, records).await.expect("mock-llm starts")
}

/// A server on free ports.
pub async fn start_server(
    server: &str,
    upstream: &str,
    flags: &[&str],
    folder: &Path,
    records: &Records,
) -> Child {
    let fixed = [
        "--listen",
        "127.0.0.1:0",
        "--gauges",
        "127.0.0.1:0",
        "--upstream",
        upstream,
    ];
    let spec = Spec {
        name: server.to_owned(),
        args: fixed
            .iter()
            .chain(flags)
            .map(|&flag| flag.to_owned())
            .collect(),
        announces: vec!["listening", "gauges"],
        log: folder.join("server.log"),
    };
    Child::start(spec, records)
        .await
        .expect("the server starts")
}

/// What a URL answers, as JSON.
pub async fn json(url: &str) -> serde_json::Value {
    let client = lab::http::client(false).expect("a client");
    let text = client
        .get(url)
        .send()
        .await
        .expect("an answer")
        .text()
        .await
        .expect("a body");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{url}: {error}: {text}"))
}

/// Waits until `is_so`, for a time that no healthy machine needs.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so().await {
        assert!(Instant::now() < deadline, "not within 10 s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A short scenario: 20 long streams, two endpoints.
pub const SHORT: &str = r#"
schema = 1
name = "short"
title = "A short run for the tests"

[server]
pool_threads = 4
worker_threads = 2

[load.streams]
path = "/chat/stream"
count = 20
ramp = "200ms"
ttft = "20ms"
interval = "50ms"
length = "10m"
stall_after = "2s"

[probe]
rate = 50
timeout = "1s"
endpoints = { health_sync = "/debug/health-sync", health_async = "/debug/health-async" }

[phases]
baseline = "1s"
hold = "2s"
recovery = "10s"

[[variant]]
name = "broken"
server = "server-broken"
model = "thread_per_stream"

[[variant]]
name = "fixed"
server = "server-fixed"
model = "async"

[[cell]]
name = "only"

[[expect]]
variant = "broken"
that = ["streams.served_peak == pool_threads", "diagnosis == blocking_pool_exhausted"]

[[expect]]
variant = "fixed"
that = ["streams.served_peak == streams", "streams.lost == 0", "health_sync.unanswered == 0%"]
"#;

/// Held by a test that measures. Only one exists at a time, over all test processes: they must not
/// share the machine's cores.
pub struct Alone {
    _lock: std::fs::File,
}

impl Alone {
    /// Waits for its turn.
    pub fn wait() -> Self {
        let lock = std::fs::File::create(std::env::temp_dir().join("lab-tests.lock"));
        let lock = lock.expect("a lock file");
        lock.lock().expect("locked");
        Self { _lock: lock }
    }
}

/// A folder with a scenario file in it, and a place for runs, which measure.
pub struct Bench {
    folder: TempDir,
    _alone: Alone,
}

/// A run in which the machine stood still for longer is repeated once.
const STALL: Duration = Duration::from_millis(50);

impl Bench {
    /// With this text as `short.toml`.
    pub fn new(text: &str) -> Self {
        let alone = Alone::wait();
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("short.toml"), text).expect("written");
        Self {
            folder,
            _alone: alone,
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `lab` with these arguments, in this folder, not yet started.
    pub fn lab(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(LAB);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs `lab` to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.lab(arguments).output().expect("lab runs")
    }

    /// Runs `lab` to its end, and again if it says that the machine was too busy to measure, once also
    /// if the machine stood still meanwhile, which the lab may not have noticed: such a run claims
    /// nothing that a test could check.
    pub fn measure(&self, arguments: &[&str]) -> Output {
        for attempt in 0..4 {
            let stalls = Stalls::watch();
            let output = self.run(arguments);
            let stalled = stalls.longest();
            let again = match output.status.code() {
                Some(3) => true,
                Some(0 | 1) => attempt == 0 && stalled > STALL,
                _ => false,
            };
            if !again {
                return output;
            }
            println!(
                "measured again; the machine stood still for {stalled:.0?} at the most: {}",
                stdout(&output)
            );
            std::fs::remove_dir_all(self.folder.path().join("results")).expect("removed");
        }
        panic!("the machine is too busy to measure anything");
    }

    /// The folders of the runs, oldest first.
    pub fn runs(&self) -> Vec<PathBuf> {
        let mut folders: Vec<_> = std::fs::read_dir(self.folder.path().join("results/runs"))
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.join("index.json").is_file())
            .collect();
        folders.sort();
        folders
    }

    /// A summary in the newest run.
    pub fn summary(&self, cell: &str) -> Option<serde_json::Value> {
        let path = self
            .runs()
            .pop()?
            .join("cells")
            .join(cell)
            .join("summary.json");
        serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()
    }
}

/// What a process printed to standard error.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a process printed to standard output.
pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
