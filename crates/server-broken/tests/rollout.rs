//! A rollout under way: the real server, with streams held on both paths, in front of a real upstream.

use relay::rollout::bucket;
use serde_json::json;

use crate::stage::{Stage, THREADS};
use testkit::eventually;

async fn stream(stage: &Stage, key: &str, query: &str) -> reqwest::Response {
    let url = format!("{}/rollout/stream?{query}", stage.url);
    let request = stage.http.get(url).header("x-session-id", key);
    request.send().await.unwrap()
}

/// A stream that has begun and does not end.
async fn held(stage: &Stage, key: &str) -> reqwest::Response {
    let mut stream = stream(stage, key, "ttft=0s&interval=50ms&chunks=9999").await;
    stream.chunk().await.unwrap().expect("a chunk");
    stream
}

async fn put(stage: &Stage, percentage: u64) -> u16 {
    let url = format!("{}/rollout?percentage={percentage}", stage.url);
    let answer = stage.http.put(url).send().await.unwrap();
    answer.status().as_u16()
}

async fn fault(stage: &Stage, fault: &str) {
    let url = format!("{}/admin/config", stage.upstream);
    let body = json!({"fault": fault}).to_string();
    let answer = stage.http.post(url).body(body).send().await.unwrap();
    assert!(
        answer.status().is_success(),
        "{}",
        answer.text().await.unwrap()
    );
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
    let stage = Stage::start(&["--async-rollout-percentage", "50"]);
    let (on_the_loop, on_a_thread) = keys(50);
    let mut streams = Vec::new();
    for key in on_the_loop.take(12) {
        let stream = held(&stage, &key).await;
        assert_eq!(header(&stream, "x-stream-method"), Some("async"));
        streams.push(stream);
    }
    for key in on_a_thread.take(THREADS) {
        assert!(
            stage.answers("/debug/health-sync").await,
            "a thread is free"
        );
        let stream = held(&stage, &key).await;
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
    assert_eq!(stage.stand.mock.ledger().tally().open, 12 + THREADS as u64);

    drop(streams.pop());
    eventually("health is back", async || {
        stage.answers("/debug/health-sync").await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_percentage_changes_while_streams_are_held_and_moves_none_of_them() {
    let stage = Stage::start(&[]);
    let mut early = Vec::new();
    for n in 0..THREADS {
        early.push(held(&stage, &format!("early-{n}")).await);
    }
    assert!(!stage.answers("/debug/health-sync").await);
    assert_eq!(put(&stage, 101).await, 400);
    assert_eq!(stage.gauge("rollout").await["percentage"], 0);
    assert_eq!(put(&stage, 100).await, 200);
    for stream in &mut early {
        assert_eq!(header(stream, "x-stream-method"), Some("blocking"));
        stream.chunk().await.unwrap().expect("it goes on");
    }
    let (_, mut late) = keys(0);
    let late = held(&stage, &late.next().unwrap()).await;
    assert_eq!(header(&late, "x-stream-method"), Some("async"));
    assert!(
        !stage.answers("/debug/health-sync").await,
        "those that have begun hold their threads"
    );
    drop(early);
    eventually("health is back", async || {
        stage.answers("/debug/health-sync").await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_the_first_byte_a_stream_falls_back_and_says_so() {
    let stage = Stage::start(&["--async-rollout-percentage", "100"]);
    for kind in ["reset@0", "eof@0", "cut@0"] {
        fault(&stage, &format!("first=1,{kind}")).await;
        let stream = stream(&stage, "anybody", "interval=1ms&chunks=3").await;
        assert_eq!(
            header(&stream, "x-stream-method"),
            Some("blocking"),
            "{kind}"
        );
        assert!(header(&stream, "x-stream-fallback").is_some(), "{kind}");
        let text = stream.text().await.unwrap();
        assert!(text.ends_with("data: [DONE]\n\n"), "{kind}: {text}");
        assert!(text.starts_with("data: {\"chunk\":0,"), "{kind}: {text}");
    }
    eventually("nothing is held", async || {
        stage.gauge("rollout").await["in_flight"] == json!({"async": 0, "blocking": 0})
            && stage.stand.mock.ledger().tally().open == 0
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
    let stage = Stage::start(&["--async-rollout-percentage", "100"]);
    fault(&stage, "first=1,cut@2").await;
    let stream = stream(&stage, "anybody", "interval=1ms&chunks=5").await;
    assert_eq!(header(&stream, "x-stream-method"), Some("async"));
    assert_eq!(header(&stream, "x-stream-fallback"), None);
    let text = stream.text().await.unwrap();
    assert!(text.contains("\"chunk\":1,"), "{text}");
    assert!(text.contains("\"code\":\"upstream_failed\""), "{text}");
    let tally = stage.stand.mock.ledger().tally();
    assert_eq!(tally.started, 1, "it was asked once");
    let rollout = stage.gauge("rollout").await;
    assert_eq!(
        rollout["cohorts"]["async"]["outcomes"]["failed"], 1,
        "{rollout}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_paths_relay_byte_for_byte() {
    let stage = Stage::start(&["--async-rollout-percentage", "50"]);
    let (mut on_the_loop, mut on_a_thread) = keys(50);
    let keys = [on_the_loop.next().unwrap(), on_a_thread.next().unwrap()];
    for query in [
        "chunks=30&interval=2ms&ttft=1ms",
        "chunks=10&interval=1ms&ttft=0s&bytes=100000",
        "chunks=5&interval=1ms&fault=slice%3D2",
        "chunks=5&interval=1ms&fault=status%3D429",
    ] {
        let url = format!("{}/slow_stream?{query}", stage.upstream);
        let direct = stage.get(&url).await;
        let status = direct.status();
        let direct = direct.bytes().await.unwrap();
        for (key, method) in keys.iter().zip(["async", "blocking"]) {
            let relayed = stream(&stage, key, query).await;
            assert_eq!(relayed.status(), status, "{method} {query}");
            assert_eq!(header(&relayed, "x-stream-method"), Some(method), "{query}");
            assert!(relayed.bytes().await.unwrap() == direct, "{method} {query}");
        }
    }
}
