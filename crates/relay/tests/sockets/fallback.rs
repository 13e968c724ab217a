//! The next upstream is asked as long as no byte of a body is out, and never after.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use http::StatusCode;
use relay::{Relay, Timeouts};

use super::support::*;

const EVENT: &str = "data: {\"n\":1}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// An app whose relay asks these upstreams in turn, with one permit.
struct Chain {
    relay: Relay,
    app: SocketAddr,
    upstreams: Vec<Upstream>,
}

impl Chain {
    async fn spawn(timeouts: Timeouts, scripts: Vec<Vec<Step>>) -> Self {
        let (mut upstreams, mut addresses) = (Vec::new(), Vec::new());
        for script in scripts {
            let (upstream, address) = Upstream::spawn(script).await;
            upstreams.push(upstream);
            addresses.push(address);
        }
        let (relay, app) = chain(&addresses, timeouts).await;
        Self {
            relay,
            app,
            upstreams,
        }
    }

    async fn get(&self) -> reqwest::Response {
        get(self.app).await
    }

    /// How many fallbacks there were in all, and for this reason.
    fn fallbacks(&self, why: &str) -> (u64, u64) {
        let fallbacks = self.relay.snapshot().fallbacks;
        (fallbacks.values().sum(), fallbacks[why])
    }

    async fn assert_ended_once(&self, ending: &str) {
        assert_ended_once(&self.relay, ending).await;
    }
}

async fn chain(addresses: &[SocketAddr], timeouts: Timeouts) -> (Relay, SocketAddr) {
    let url = |address: &SocketAddr| format!("http://{address}").parse().unwrap();
    let relay = relay_to(addresses[0], timeouts, 1)
        .with_fallbacks(addresses[1..].iter().map(url))
        .unwrap();
    (relay.clone(), spawn_app(relay).await)
}

async fn get(app: SocketAddr) -> reqwest::Response {
    let url = format!("http://{app}/stream");
    client().get(url).send().await.unwrap()
}

/// For what is to end so: silence, which is waited for, or anything else, which a machine that is busy
/// must not turn into silence.
fn timeouts_for(why: &str) -> Timeouts {
    match why {
        "idle_timeout" => generous().with_idle(Duration::from_secs(2)),
        _ => generous(),
    }
}

fn stream_of(events: &[&str]) -> Vec<Step> {
    let events = events.iter().map(|event| chunk(event));
    std::iter::once(send(SSE_HEAD)).chain(events).collect()
}

fn whole_stream() -> Vec<Step> {
    [stream_of(&[EVENT, DONE]), vec![last_chunk()]].concat()
}

fn answer(status: &str, body: &str) -> Vec<Step> {
    let head = format!("HTTP/1.1 {status}\r\nretry-after: 7\r\n");
    vec![send(&format!(
        "{head}content-length: {}\r\n\r\n{body}",
        body.len()
    ))]
}

/// What the first upstream does, why it is given up, and what is left of its connection: one whose
/// exchange is over is no leak, and may serve again.
fn failures() -> Vec<(&'static str, &'static str, bool, Vec<Step>)> {
    let after_head = |step| vec![send(SSE_HEAD), Step::Pause(Duration::from_millis(50)), step];
    let half_a_refusal = "HTTP/1.1 500 Oh\r\ncontent-length: 9\r\n\r\n";
    vec![
        ("close", "upstream_failed", true, vec![Step::Close]),
        ("reset", "upstream_failed", true, vec![Step::Reset]),
        ("silence", "idle_timeout", true, vec![Step::Silence]),
        (
            "head, close",
            "upstream_failed",
            true,
            after_head(Step::Close),
        ),
        (
            "head, reset",
            "upstream_failed",
            true,
            after_head(Step::Reset),
        ),
        (
            "head, silence",
            "idle_timeout",
            true,
            after_head(Step::Silence),
        ),
        ("head, end", "truncated", false, after_head(last_chunk())),
        ("503", "upstream_status", false, answer("503 Busy", "busy")),
        ("429", "upstream_status", false, answer("429 Slow", "slow")),
        (
            "500, silence",
            "upstream_status",
            true,
            vec![send(half_a_refusal), Step::Silence],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_before_the_first_byte_goes_to_the_next_upstream_and_is_closed() {
    for (name, why, is_unfinished, script) in failures() {
        let second = [stream_of(&[EVENT]), vec![Step::Silence]].concat();
        let chain = Chain::spawn(timeouts_for(why), vec![script, second]).await;
        let response = chain.get().await;
        assert_eq!(response.status(), StatusCode::OK, "{name}");
        let mut bytes = response.bytes_stream();
        assert_eq!(bytes.next().await.unwrap().unwrap(), EVENT, "{name}");

        assert_eq!(chain.fallbacks(why), (1, 1), "{name}");
        if is_unfinished {
            eventually(name, async || chain.upstreams[0].open() == 0).await;
        }
        assert_eq!(chain.upstreams[1].open(), 1, "{name}");
        let now = chain.relay.snapshot();
        assert_eq!((now.permits_in_use, now.streams_open), (1, 1), "{name}");

        drop(bytes);
        chain.assert_ended_once("client_gone").await;
        eventually(name, async || chain.upstreams[1].open() == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_cannot_be_reached_is_passed_over() {
    let unused = Nobody::new();
    let (_upstream, address) = Upstream::spawn(whole_stream()).await;
    let (relay, app) = chain(&[unused.address(), address], generous()).await;
    assert_eq!(get(app).await.text().await.unwrap(), [EVENT, DONE].concat());
    assert_eq!(relay.snapshot().fallbacks["connect_failed"], 1);
    assert_ended_once(&relay, "complete").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_first_byte_there_is_no_other_upstream() {
    for (ending, last) in [
        ("upstream_failed", Step::Close),
        ("truncated", last_chunk()),
        ("idle_timeout", Step::Silence),
    ] {
        let script = [stream_of(&[EVENT]), vec![last]].concat();
        let scripts = vec![script, whole_stream()];
        let chain = Chain::spawn(timeouts_for(ending), scripts).await;
        let text = chain.get().await.text().await.unwrap();
        assert!(text.starts_with(EVENT), "{text}");
        assert!(last_error_code(&text).starts_with("upstream_"), "{text}");
        assert_eq!(chain.upstreams[1].accepted(), 0, "{ending}");
        assert_eq!(chain.fallbacks(ending).0, 0, "{ending}");
        chain.assert_ended_once(ending).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_request_is_wrong_everywhere() {
    let refusal = answer("400 Bad Request", "what?");
    let chain = Chain::spawn(generous(), vec![refusal, whole_stream()]).await;
    assert_eq!(chain.get().await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(chain.upstreams[1].accepted(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_last_one_says_is_the_answer() {
    let scripts = vec![
        vec![Step::Close],
        answer("500 Oh", "one"),
        answer("503 Busy", "two"),
    ];
    let chain = Chain::spawn(generous(), scripts).await;
    let response = chain.get().await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "7");
    assert_eq!(response.text().await.unwrap(), "two");
    assert_eq!(chain.fallbacks("upstream_status"), (2, 1));
    assert_eq!(chain.fallbacks("upstream_failed"), (2, 1));
    chain.assert_ended_once("upstream_status").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_reaches_the_next_upstream_whole() {
    let chain = Chain::spawn(generous(), vec![vec![Step::Close], whole_stream()]).await;
    let body = "x".repeat(100_000);
    let request = client()
        .post(format!("http://{}/stream?a=b", chain.app))
        .header("x-request-id", "r-1");
    let text = request.body(body.clone()).send().await.unwrap();
    assert_eq!(text.text().await.unwrap(), [EVENT, DONE].concat());
    let [first, second] = [0, 1].map(|n: usize| chain.upstreams[n].requests().remove(0));
    for request in [&first, &second] {
        assert!(request.starts_with("POST /stream?a=b "), "{request:.99}");
        assert!(request.contains("x-request-id: r-1\r\n"), "{request:.99}");
        assert!(request.ends_with(&body), "{request:.99}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_known_to_be_empty_is_an_answer() {
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\n\r\n",
    ] {
        let chain = Chain::spawn(generous(), vec![vec![send(head)], whole_stream()]).await;
        assert_eq!(chain.get().await.text().await.unwrap(), "", "{head}");
        assert_eq!(chain.upstreams[1].accepted(), 0, "{head}");
        chain.assert_ended_once("complete").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_passes_byte_for_byte_though_its_beginning_was_waited_for() {
    let body = "x".repeat(300_000);
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    let script = [&head[..], &body[..1], &body[1..70_000], &body[70_000..]].map(send);
    let script = script.to_vec();
    let chain = Chain::spawn(generous(), vec![script, whole_stream()]).await;
    let response = chain.get().await;
    assert_eq!(response.content_length(), Some(300_000));
    assert_eq!(response.text().await.unwrap(), body);
    chain.assert_ended_once("complete").await;

    let chain = Chain::spawn(generous(), vec![whole_stream(), vec![Step::Close]]).await;
    let text = chain.get().await.text().await.unwrap();
    assert_eq!(text, [EVENT, DONE].concat());
    chain.assert_ended_once("complete").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_total_timeout_spans_all_upstreams() {
    // In the middle of the second one's silence.
    let timeouts = generous()
        .with_idle(Duration::from_secs(2))
        .with_total(Duration::from_secs(3));
    let silent = || vec![Step::Silence];
    let scripts = vec![silent(), silent(), whole_stream()];
    let chain = Chain::spawn(timeouts, scripts).await;
    let response = chain.get().await;
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    let text = response.text().await.unwrap();
    assert!(text.contains("deadline_exceeded"), "{text}");
    assert_eq!(chain.upstreams[2].accepted(), 0);
    assert_eq!(chain.fallbacks("idle_timeout"), (1, 1));
    chain.assert_ended_once("deadline_exceeded").await;
    for upstream in &chain.upstreams {
        eventually("closed", async || upstream.open() == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_while_an_upstream_is_waited_for_asks_no_other() {
    let silent = || vec![send(SSE_HEAD), Step::Silence];
    for waiting_for in [0, 1] {
        let mut scripts = vec![vec![Step::Close]; waiting_for];
        scripts.extend([silent(), whole_stream()]);
        let chain = Chain::spawn(generous(), scripts).await;
        let app = chain.app;
        let client = tokio::spawn(async move { get(app).await });
        let asked = &chain.upstreams[waiting_for];
        eventually("asked", async || asked.requests().len() == 1).await;
        assert_eq!(chain.relay.snapshot().awaiting_head, 1);
        client.abort();
        eventually("upstream released", async || asked.open() == 0).await;
        chain.assert_ended_once("client_gone").await;
        assert_eq!(chain.upstreams[waiting_for + 1].accepted(), 0);
        assert_eq!(
            chain.fallbacks("upstream_failed").0,
            waiting_for as u64,
            "the hang-up is not the upstream's"
        );
    }
}

#[test]
fn a_fallback_that_is_no_upstream_is_refused() {
    let relay = Relay::new(
        "http://127.0.0.1:9".parse().unwrap(),
        Timeouts::default(),
        1,
    );
    let refused = relay
        .unwrap()
        .with_fallbacks(["ftp://127.0.0.1:9".parse().unwrap()]);
    assert!(refused.is_err(), "{refused:?}");
}
