//! A rollout under way: the real server, with streams held on both paths, in front of a real upstream.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mock_llm::Mock;
use mock_llm::config::Config;
use mock_llm::socket::Listener;
use relay::rollout::bucket;
use serde_json::{Value, json};
use service::Drain;
use tokio::time::Instant;

/// Longer than anything on a loaded machine takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Threads of the server's pool.
const THREADS: usize = 4;

/// The upstream in this process, and the server in its own, which ends with this.
struct Stage {
    mock: Mock,
    upstream: String,
    server: Child,
    url: String,
    gauges: String,
    http: reqwest::Client,
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Stage {
    async fn start(flags: &[&str]) -> Self {
        // Only the first caller of a process can install it, and any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), "--listen", None).unwrap();
        let upstream = format!("http://{}", listener.address().unwrap());
        let mock = Mock::new(Config::default(), &listener);
        let serving = mock.clone();
        tokio::spawn(async move { serving.serve(listener, Drain::new(Duration::ZERO)).await });
        let mut server = Command::new(env!("CARGO_BIN_EXE_server-broken"))
            .args(["--listen", "127.0.0.1:0", "--gauges", "127.0.0.1:0"])
            .args(["--upstream", &upstream])
            .args(["--pool-threads", &THREADS.to_string()])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let mut announced = |what: &str| {
            let line = lines.next().expect("an announcement").unwrap();
            let url = line.strip_prefix(&format!("{what} on ")).expect(&line);
            url.to_owned()
        };
        let gauges = announced("gauges");
        let url = announced("listening");
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .unwrap();
        Self {
            mock,
            upstream,
            server,
            url,
            gauges,
            http,
        }
    }

    async fn stream(&self, key: &str, query: &str) -> reqwest::Response {
        let url = format!("{}/rollout/stream?{query}", self.url);
        let request = self.http.get(url).header("x-session-id", key);
        request.send().await.unwrap()
    }

    /// A stream that has begun and does not end.
    async fn held(&self, key: &str) -> reqwest::Response {
        let mut stream = self.stream(key, "ttft=0s&interval=50ms&chunks=9999").await;
        stream.chunk().await.unwrap().expect("a chunk");
        stream
    }

    async fn put(&self, percentage: u64) -> u16 {
        let url = format!("{}/rollout?percentage={percentage}", self.url);
        let answer = self.http.put(url).send().await.unwrap();
        answer.status().as_u16()
    }

    async fn gauge(&self, name: &str) -> Value {
        let gauges = self.http.get(format!("{}/gauges", self.gauges));
        let text = gauges.send().await.unwrap().text().await.unwrap();
        let mut gauges: Value = serde_json::from_str(&text).unwrap();
        gauges[name].take()
    }

    async fn fault(&self, fault: &str) {
        let url = format!("{}/admin/config", self.upstream);
        let body = json!({"fault": fault}).to_string();
        let answer = self.http.post(url).body(body).send().await.unwrap();
        assert!(
            answer.status().is_success(),
            "{}",
            answer.text().await.unwrap()
        );
    }

    /// Whether a check is answered within half a second.
    async fn answers(&self, path: &str) -> bool {
        let check = self.http.get(format!("{}{path}", self.url)).send();
        let answer = tokio::time::timeout(Duration::from_millis(500), check).await;
        answer.is_ok_and(|answer| answer.unwrap().status() == 200)
    }

    async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition().await {
            assert!(Instant::now() < deadline, "never: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn header<'a>(response: &'a reqwest::Response, name: &str) -> Option<&'a str> {
    let value = response.headers().get(name)?;
    Some(value.to_str().unwrap())
}

/// Keys that are async at `percent`, and keys that are not.
fn keys(percent: u8) -> (impl Iterator<Item = String>, impl Iterator<Item = String>) {
    let all = || (0..).map(|n| format!("session-{n}"));
    let is_async = move |key: &String| bucket(0, key.as_bytes()) < percent;
    (
        all().filter(is_async),
        all().filter(move |key| !is_async(key)),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_recovers_when_fewer_streams_than_threads_are_on_the_blocking_path() {
    let stage = Stage::start(&["--async-rollout-percentage", "50"]).await;
    let (on_the_loop, on_a_thread) = keys(50);
    let mut streams = Vec::new();
    for key in on_the_loop.take(12) {
        let stream = stage.held(&key).await;
        assert_eq!(header(&stream, "x-stream-method"), Some("async"));
        streams.push(stream);
    }
    for key in on_a_thread.take(THREADS) {
        assert!(
            stage.answers("/debug/health-sync").await,
            "a thread is free"
        );
        let stream = stage.held(&key).await;
        assert_eq!(header(&stream, "x-stream-method"), Some("blocking"));
        streams.push(stream);
    }
    assert!(!stage.answers("/debug/health-sync").await, "none is left");
    assert!(stage.answers("/debug/health-async").await);
    let rollout = stage.gauge("rollout").await;
    assert_eq!(
        rollout["in_flight"],
        json!({"async": 12, "blocking": THREADS})
    );
    assert_eq!(stage.mock.ledger().tally().open, 12 + THREADS as u64);

    drop(streams.pop());
    stage
        .until("health is back", async || {
            stage.answers("/debug/health-sync").await
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_percentage_changes_while_streams_are_held_and_moves_none_of_them() {
    let stage = Stage::start(&[]).await;
    let mut held = Vec::new();
    for n in 0..THREADS {
        held.push(stage.held(&format!("early-{n}")).await);
    }
    assert!(!stage.answers("/debug/health-sync").await);
    assert_eq!(stage.put(101).await, 400);
    assert_eq!(stage.gauge("rollout").await["percentage"], 0);
    assert_eq!(stage.put(100).await, 200);
    for stream in &mut held {
        assert_eq!(header(stream, "x-stream-method"), Some("blocking"));
        stream.chunk().await.unwrap().expect("it goes on");
    }
    let (_, mut late) = keys(0);
    let late = stage.held(&late.next().unwrap()).await;
    assert_eq!(header(&late, "x-stream-method"), Some("async"));
    assert!(
        !stage.answers("/debug/health-sync").await,
        "those that have begun hold their threads"
    );
    drop(held);
    stage
        .until("health is back", async || {
            stage.answers("/debug/health-sync").await
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_the_first_byte_a_stream_falls_back_and_says_so() {
    let stage = Stage::start(&["--async-rollout-percentage", "100"]).await;
    for fault in ["reset@0", "eof@0", "cut@0"] {
        stage.fault(&format!("first=1,{fault}")).await;
        let stream = stage.stream("anybody", "interval=1ms&chunks=3").await;
        assert_eq!(
            header(&stream, "x-stream-method"),
            Some("blocking"),
            "{fault}"
        );
        assert!(header(&stream, "x-stream-fallback").is_some(), "{fault}");
        let text = stream.text().await.unwrap();
        assert!(text.ends_with("data: [DONE]\n\n"), "{fault}: {text}");
        assert!(text.starts_with("data: {\"chunk\":0,"), "{fault}: {text}");
    }
    stage
        .until("nothing is held", async || {
            stage.gauge("rollout").await["in_flight"] == json!({"async": 0, "blocking": 0})
                && stage.mock.ledger().tally().open == 0
        })
        .await;
    let rollout = stage.gauge("rollout").await;
    assert_eq!(
        rollout["cohorts"]["async"]["outcomes"]["complete"], 3,
        "{rollout}"
    );
    assert_eq!(rollout["cohorts"]["blocking"]["requests"], 0, "{rollout}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_first_byte_it_does_not() {
    let stage = Stage::start(&["--async-rollout-percentage", "100"]).await;
    stage.fault("first=1,cut@2").await;
    let stream = stage.stream("anybody", "interval=1ms&chunks=5").await;
    assert_eq!(header(&stream, "x-stream-method"), Some("async"));
    assert_eq!(header(&stream, "x-stream-fallback"), None);
    let text = stream.text().await.unwrap();
    assert!(text.contains("\"chunk\":1,"), "{text}");
    assert!(text.contains("\"code\":\"upstream_failed\""), "{text}");
    let tally = stage.mock.ledger().tally();
    assert_eq!(tally.started, 1, "it was asked once");
    let rollout = stage.gauge("rollout").await;
    assert_eq!(
        rollout["cohorts"]["async"]["outcomes"]["failed"], 1,
        "{rollout}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_paths_relay_byte_for_byte() {
    let stage = Stage::start(&["--async-rollout-percentage", "50"]).await;
    let (mut on_the_loop, mut on_a_thread) = keys(50);
    let keys = [on_the_loop.next().unwrap(), on_a_thread.next().unwrap()];
    for query in [
        "chunks=30&interval=2ms&ttft=1ms",
        "chunks=10&interval=1ms&ttft=0s&bytes=100000",
        "chunks=5&interval=1ms&fault=slice%3D2",
        "chunks=5&interval=1ms&fault=status%3D429",
    ] {
        let direct = stage
            .http
            .get(format!("{}/slow_stream?{query}", stage.upstream));
        let direct = direct.send().await.unwrap();
        let status = direct.status();
        let direct = direct.bytes().await.unwrap();
        for (key, method) in keys.iter().zip(["async", "blocking"]) {
            let relayed = stage.stream(key, query).await;
            assert_eq!(relayed.status(), status, "{method} {query}");
            assert_eq!(header(&relayed, "x-stream-method"), Some(method), "{query}");
            assert!(relayed.bytes().await.unwrap() == direct, "{method} {query}");
        }
    }
}
