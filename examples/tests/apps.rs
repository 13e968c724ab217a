//! Each app for real, in front of a real upstream whose ledger is the witness.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use mock_llm::Mock;
use mock_llm::config::Config;
use mock_llm::distribution::Distribution;
use serde_json::Value;
use testkit::{Process, Request, ask, eventually};

/// Twice as many as there are threads.
const QUESTIONS: usize = 2 * examples::THREADS;

/// The upstream in this process, and the app in its own, which ends with this.
struct Stage {
    mock: Mock,
    _app: Process,
    address: SocketAddr,
    http: reqwest::Client,
}

impl Stage {
    /// Answers of `chunks` tokens, ten a second.
    fn start(app: &str, chunks: u64) -> Self {
        let (mock, upstream) = testkit::upstream(Config {
            ttft: Distribution::Constant(Duration::from_millis(50)),
            chunks,
            ..Config::default()
        });
        let mut command = Command::new(app);
        command
            .env("LISTEN", "127.0.0.1:0")
            .env("UPSTREAM", format!("http://{upstream}"))
            .env_remove("GAUGES");
        let mut app = Process::start(command);
        Self {
            mock,
            address: app.announced("listening"),
            _app: app,
            http: testkit::client(),
        }
    }

    /// Asks all the questions at once; the answers end with the runtime of the test.
    fn ask(&self) -> Vec<tokio::task::JoinHandle<String>> {
        let question =
            r#"{"model":"mock-small","stream":true,"messages":[{"role":"user","content":"?"}]}"#;
        let ask = |_| {
            let request = self.http.post(self.url("/v1/chat/completions"));
            let request = request
                .header("content-type", "application/json")
                .body(question);
            tokio::spawn(async move {
                let answer = request.send().await.unwrap();
                answer.text().await.unwrap()
            })
        };
        (0..QUESTIONS).map(ask).collect()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let answer = ask(self.address, Request::get(path)).await;
        let body = serde_json::from_str(&answer.body);
        (answer.status, body.unwrap_or(Value::Null))
    }

    /// Waits until the upstream has `open` streams, and is sure that it does not get more.
    async fn until_open(&self, open: u64) {
        let now = || self.mock.ledger().tally().open;
        eventually("the streams are open", async || now() >= open).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(now(), open);
    }
}

#[tokio::test]
async fn the_plain_app_serves_as_many_as_it_has_threads_and_has_no_way_to_say_so() {
    let stage = Stage::start(env!("CARGO_BIN_EXE_plain"), 600);
    let _answers = stage.ask();
    stage.until_open(examples::THREADS as u64).await;
    for path in ["/health", "/readyz", "/debug/health-sync"] {
        assert_eq!(stage.get(path).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn the_detected_app_is_healthy_until_its_threads_are_held_and_then_says_why_it_is_not() {
    let stage = Stage::start(env!("CARGO_BIN_EXE_detected"), 600);
    let (status, health) = stage.get("/health").await;
    assert_eq!((status, &health["status"]), (200, &"healthy".into()));

    let _answers = stage.ask();
    stage.until_open(examples::THREADS as u64).await;
    let (status, health) = stage.get("/health").await;
    assert_eq!((status, &health["status"]), (503, &"unhealthy".into()));
    let warning = health["warning"].as_str().unwrap();
    assert!(warning.contains("4 of 4 threads busy"), "{warning}");
    assert_eq!(stage.get("/livez").await.0, 200, "no reason to be killed");
}

#[tokio::test]
async fn the_cured_app_serves_all_at_once_and_stays_healthy() {
    let stage = Stage::start(env!("CARGO_BIN_EXE_cured"), 600);
    let _answers = stage.ask();
    stage.until_open(QUESTIONS as u64).await;
    let (status, health) = stage.get("/health").await;
    assert_eq!((status, &health["status"]), (200, &"healthy".into()));
    // No answer holds a thread; the canary that asked may still be on its way out.
    assert!(health["pool"]["busy"].as_u64() <= Some(1), "{health}");
}

#[tokio::test]
async fn every_app_gives_the_same_whole_answer() {
    for app in [
        env!("CARGO_BIN_EXE_plain"),
        env!("CARGO_BIN_EXE_detected"),
        env!("CARGO_BIN_EXE_cured"),
    ] {
        let stage = Stage::start(app, 5);
        for answer in stage.ask() {
            let answer = answer.await.unwrap();
            assert!(
                answer.trim_end().ends_with("data: [DONE]"),
                "{app}: {answer}"
            );
            assert!(answer.matches("\"delta\"").count() >= 5, "{app}: {answer}");
        }
    }
}

/// The lines of `new` that are not in `old`, comments left out.
fn added<'a>(old: &str, new: &'a str) -> Vec<&'a str> {
    let code = |line: &&str| !line.starts_with("//!");
    let mut old: Vec<&str> = old.lines().filter(code).collect();
    let mut added = Vec::new();
    for line in new.lines().filter(code) {
        match old.iter().position(|one| *one == line) {
            Some(at) => drop(old.remove(at)),
            None => added.push(line.trim()),
        }
    }
    added
}

#[test]
fn detection_is_four_lines_and_the_cure_is_one_call() {
    let plain = include_str!("../src/bin/plain.rs");
    let detected = include_str!("../src/bin/detected.rs");
    let cured = include_str!("../src/bin/cured.rs");
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
    let lines = plain.lines().filter(is_code).count();
    assert!(lines <= 30, "a small app: {lines} lines of code");
    let detection = added(plain, detected);
    assert_eq!(detection.len(), 4, "{detection:#?}");
    assert!(detection.iter().all(|line| line.contains("vitals")));
    assert!(cured.lines().count() < detected.lines().count());
    let cure = added(detected, cured);
    let calls = cure.iter().filter(|line| line.contains("relay.forward"));
    assert_eq!(calls.count(), 1, "{cure:#?}");
    assert!(!cured.contains("ureq"));
}
