//! An upstream that fails: through either server the client gets a clear error, never a hang and
//! never a stream that silently lacks its end.

use std::time::Duration;

use serde_json::Value;
use testkit::{Nobody, Server, Stage, eventually, program};

const SERVERS: [&str; 2] = ["server-broken", "server-fixed"];
const PATIENCE: Duration = Duration::from_secs(10);

async fn get(url: &str, fault: Option<&str>) -> reqwest::Response {
    let client = lab::http::client(false).expect("a client");
    let mut request = client.get(url).timeout(PATIENCE);
    if let Some(fault) = fault {
        request = request.header("x-mock-fault", fault);
    }
    request.send().await.expect("an answer")
}

fn error_in(text: &str) -> Value {
    let object: Value =
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    for key in ["message", "type", "param", "code"] {
        assert!(object["error"].get(key).is_some(), "no {key}: {object}");
    }
    object["error"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_upstream_is_a_502_at_once() {
    let nobody = Nobody::new();
    for name in SERVERS {
        let server = Server::start(program(name), &["--upstream", &nobody.url("")]);
        let answer = get(&server.url("/chat/stream"), None).await;
        assert_eq!(answer.status(), 502, "{name}");
        let error = error_in(&answer.text().await.expect("whole"));
        assert_eq!(error["code"], "upstream_unreachable", "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_the_upstream_is_passed_on() {
    for server in SERVERS {
        let stage = Stage::start(server, &[]);
        let answer = get(&stage.url("/chat/stream?chunks=5"), Some("status=429")).await;
        assert_eq!(answer.status(), 429, "{server}");
        assert!(answer.headers().contains_key("retry-after"), "{server}");
        error_in(&answer.text().await.expect("whole"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_ends_with_an_error_event() {
    for server in SERVERS {
        let stage = Stage::start(server, &[]);
        for fault in ["cut@3", "reset@3", "eof@3"] {
            let url = stage.url("/chat/stream?chunks=9&interval=20ms&ttft=10ms");
            let answer = get(&url, Some(fault)).await;
            assert_eq!(answer.status(), 200, "{server} {fault}");
            let text = answer
                .text()
                .await
                .unwrap_or_else(|error| panic!("{server} {fault}: {error}"));
            assert!(text.contains("\"chunk\":2"), "{server} {fault}: {text}");
            assert!(!text.contains("[DONE]"), "{server} {fault}: {text}");
            let last = text.trim_end().rsplit("\n\n").next().expect("an event");
            let error = error_in(last.strip_prefix("data: ").expect("a data line"));
            let code = error["code"].as_str().expect("a code");
            assert!(code.starts_with("upstream_"), "{server} {fault}: {code}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_upstream_ends_with_an_error_event_when_the_idle_timeout_is_over() {
    for server in SERVERS {
        let stage = Stage::start(server, &["--idle-timeout", "300ms"]);
        let url = stage.url("/chat/stream?chunks=9&interval=20ms&ttft=10ms");
        let text = get(&url, Some("stall@3")).await.text().await.expect("ends");
        let last = text.trim_end().rsplit("\n\n").next().expect("an event");
        let error = error_in(last.strip_prefix("data: ").expect("a data line"));
        assert_eq!(error["code"], "upstream_idle_timeout", "{server}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_the_limit_is_refused_at_once() {
    let stage = Stage::start("server-fixed", &["--max-upstream", "2"]);
    let url = stage.url("/chat/stream?chunks=200&interval=50ms&ttft=10ms");
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut answer = get(&url, None).await;
        answer.chunk().await.expect("flows").expect("a chunk");
        held.push(answer);
    }
    let refused = get(&url, None).await;
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(
        error_in(&refused.text().await.expect("whole"))["code"],
        "upstream_limit_reached"
    );
    drop(held);
    eventually("a permit is free again", async || {
        get(&url, None).await.status() == 200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_does_not_keep_its_permit() {
    let stage = Stage::start("server-fixed", &["--write-timeout", "500ms"]);
    // 64 KiB a millisecond fills every buffer on the way at once.
    let url = stage.url("/chat/stream?chunks=100000&interval=1ms&ttft=1ms&bytes=65536");
    let unread = get(&url, None).await;
    eventually("the upstream has the stream", async || {
        stage.stats().await["open"] == 1
    })
    .await;
    eventually("its permit and its upstream stream are free", async || {
        let gauges = stage.server.gauges().await;
        gauges["relay"]["permits_in_use"] == 0 && stage.stats().await["open"] == 0
    })
    .await;
    drop(unread);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_upstream_before_its_head_is_a_504() {
    for server in SERVERS {
        let stage = Stage::start(server, &["--idle-timeout", "300ms"]);
        let answer = get(&stage.url("/chat/stream?chunks=3"), Some("slow-headers=8s")).await;
        assert_eq!(answer.status(), 504, "{server}");
        assert_eq!(
            error_in(&answer.text().await.expect("whole"))["code"],
            "upstream_head_timeout"
        );
    }
}
