//! What the end-to-end tests of the lab share: a scenario, and a folder to run it in.

pub mod canned;
pub mod caught;
pub mod fake;
#[cfg(target_os = "linux")]
pub mod processes;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use testkit::{Alone, Beside, Stalls};

/// The lab's binary.
pub const LAB: &str = env!("CARGO_BIN_EXE_lab");

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

/// A folder with a scenario file in it, and a place for runs.
pub struct Bench {
    folder: TempDir,
}

/// A run in which the machine stood still for longer is repeated once.
const STALL: Duration = Duration::from_millis(50);

impl Bench {
    /// With this text as `short.toml`.
    pub fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("short.toml"), text).expect("written");
        Self { folder }
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
        let _beside = Beside::others();
        self.measure_again(arguments)
    }

    /// The same while no other test measures: for what another would disturb.
    pub fn measure_alone(&self, arguments: &[&str]) -> Output {
        let _alone = Alone::wait();
        self.measure_again(arguments)
    }

    fn measure_again(&self, arguments: &[&str]) -> Output {
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

    /// The JSON Schema of a summary.
    pub fn schema(&self) -> serde_json::Value {
        let output = self.run(&["schema"]);
        serde_json::from_slice(&output.stdout).expect("a schema")
    }

    /// The summary of the one cell of the newest run.
    pub fn only_summary(&self) -> Option<serde_json::Value> {
        let text = std::fs::read_to_string(self.runs().pop()?.join("summary.json"));
        serde_json::from_str(&text.ok()?).ok()
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

/// Whether tests of a service in Python can be run. Only whoever says so goes without them.
pub fn has_python() -> bool {
    let version = Command::new("python3").arg("--version").output();
    let has = version.is_ok_and(|output| output.status.success());
    let may_skip = std::env::var_os("LAB_TESTS_WITHOUT_PYTHON").is_some();
    assert!(
        has || may_skip,
        "there is no python3: install it, or set LAB_TESTS_WITHOUT_PYTHON=1 to go without these tests"
    );
    has
}

/// What a process printed to standard error.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a process printed to standard output.
pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Flags of a look at a target that takes a few seconds.
pub const SHORT_RUN: [&str; 8] = [
    "--streams",
    "4",
    "--for",
    "500ms",
    "--baseline",
    "1s",
    "--settle",
    "2s",
];

/// `lab attach` at these URLs, for a few seconds, with `more` flags.
pub fn short_attach<'a>(stream: &'a str, health: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["attach", "--stream", stream, "--health", health];
    args.extend(SHORT_RUN);
    args.extend(more);
    args
}
