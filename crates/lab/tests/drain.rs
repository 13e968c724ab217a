//! Both servers drain on SIGTERM: live streams end by themselves, for a bounded time.
#![cfg(unix)]

use std::time::{Duration, Instant};

use testkit::{Stage, eventually};

const SERVERS: [&str; 2] = ["server-broken", "server-fixed"];

async fn open(stage: &Stage, query: &str) -> reqwest::Response {
    let client = lab::http::client(false).expect("a client");
    let url = stage.url(&format!("/chat/stream?{query}"));
    let mut answer = client.get(url).send().await.expect("an answer");
    answer.chunk().await.expect("flows").expect("a chunk");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_stream_ends_by_itself_and_no_connection_is_accepted_meanwhile() {
    for name in SERVERS {
        let mut stage = Stage::start(name, &["--drain", "10s"]);
        let answer = open(&stage, "chunks=20&interval=50ms&ttft=10ms").await;
        stage.server.process.terminate();
        eventually("new connections are refused", async || {
            let client = lab::http::client(false).expect("a client");
            client.get(stage.url("/livez")).send().await.is_err()
        })
        .await;
        let rest = answer.text().await.expect("whole");
        assert!(
            rest.contains("\"chunk\":19") && rest.ends_with("data: [DONE]\n\n"),
            "{name}: {rest}"
        );
        let status = stage.server.process.ended().await;
        assert!(status.success(), "{name}: {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_does_not_end_is_cut_when_the_time_is_over() {
    for name in SERVERS {
        let mut stage = Stage::start(name, &["--drain", "300ms"]);
        let _held = open(&stage, "chunks=1000&interval=100ms&ttft=10ms").await;
        let asked = Instant::now();
        stage.server.process.terminate();
        let status = stage.server.process.ended().await;
        assert!(status.success(), "{name}: {status}");
        assert!(
            asked.elapsed() < Duration::from_secs(5),
            "{name}: {:?}",
            asked.elapsed()
        );
    }
}
