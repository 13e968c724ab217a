//! Two paths in one app: who takes which, what the client is told, and when the old one takes over.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use http::HeaderValue;
use prometheus_client::registry::Registry;
use relay::rollout::{Percentage, Rollout, StreamMethod, bucket};
use relay::{Framing, Relay, RelayError, Timeouts};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::support::*;

const OLD: &str = "data: from the old path\n\ndata: [DONE]\n\n";

#[derive(Clone)]
struct App {
    relay: Relay,
    rollout: Rollout,
    asked_old: Arc<AtomicUsize>,
    old_fails: bool,
    /// Whether the old path asks the upstream, and passes its answer on unwatched.
    old_relays: Arc<AtomicBool>,
}

struct Migration {
    upstream: Upstream,
    app: App,
    addr: SocketAddr,
    client: reqwest::Client,
}

impl Migration {
    async fn at(percent: u64, script: Vec<Step>) -> Self {
        Self::with(percent, script, generous(), 100, false).await
    }

    async fn with(
        percent: u64,
        script: Vec<Step>,
        timeouts: Timeouts,
        permits: usize,
        old_fails: bool,
    ) -> Self {
        let (upstream, addr) = Upstream::spawn(script).await;
        let app = App {
            relay: relay_to(addr, timeouts, permits),
            rollout: Rollout::new(percent.try_into().unwrap(), 0),
            asked_old: Arc::default(),
            old_fails,
            old_relays: Arc::default(),
        };
        let router = Router::new().route("/stream", axum::routing::any(stream));
        let router = router.with_state(app.clone()).merge(app.rollout.routes());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            upstream,
            app,
            addr,
            client: client(),
        }
    }

    async fn get(&self, key: &str) -> reqwest::Response {
        let request = self.client.get(format!("http://{}/stream", self.addr));
        request.header("x-session-id", key).send().await.unwrap()
    }

    async fn put(&self, body: &str) -> (u16, Value) {
        let url = format!("http://{}/rollout", self.addr);
        let answer = self.client.put(url).body(body.to_owned()).send();
        let answer = answer.await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap())
    }

    fn asked_old(&self) -> usize {
        self.app.asked_old.load(Ordering::SeqCst)
    }

    /// Everything is over, and the cohort ended like this.
    async fn assert_ended(&self, cohort: StreamMethod, outcomes: Value) {
        eventually("nothing in flight", async || {
            let now = self.app.rollout.snapshot();
            now.in_flight.values().all(|count| *count == 0)
        })
        .await;
        let ended = self.app.rollout.snapshot().cohorts[&cohort]
            .outcomes
            .clone();
        let some: Value = ended
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(label, count)| (label, json!(count)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        assert_eq!(some, outcomes);
    }
}

async fn stream(State(app): State<App>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let key = parts.headers.get("x-session-id").map(HeaderValue::as_bytes);
    let read = async {
        let request = app.relay.request(&parts, "/stream", body)?;
        app.relay.buffer(request.with_body_limit(10)).await
    };
    let (new, old) = (|it| new_path(&app, it), |it| old_path(&app, it));
    app.rollout.serve(key, read, new, old).await
}

async fn new_path(app: &App, request: http::Request<Bytes>) -> Result<Response, RelayError> {
    let (parts, body) = request.into_parts();
    let permit = app.relay.permit()?;
    let request = app.relay.request(&parts, "/stream", Body::from(body))?;
    let upstream = app.relay.send(request).await?;
    let head = relay::response_head(&upstream);
    let body = app
        .relay
        .guard(upstream.bytes_stream(), permit, Framing::of(&head));
    let body = body.first_byte().await?;
    Ok(Response::from_parts(head, Body::from_stream(body)))
}

/// A thread of the pool makes the answer, as blocking code would.
async fn old_path(app: &App, request: http::Request<Bytes>) -> Result<Response, RelayError> {
    app.asked_old.fetch_add(1, Ordering::SeqCst);
    if app.old_fails {
        let source = "no luck either".into();
        return Err(RelayError::Upstream { source });
    }
    if app.old_relays.load(Ordering::SeqCst) {
        let (parts, body) = request.into_parts();
        let request = app.relay.request(&parts, "/stream", Body::from(body))?;
        let upstream = app.relay.send(request).await?;
        let head = relay::response_head(&upstream);
        let body = Body::from_stream(upstream.bytes_stream());
        return Ok(Response::from_parts(head, body));
    }
    let body = tokio::task::spawn_blocking(move || {
        let echo = String::from_utf8_lossy(request.body()).into_owned();
        format!("data: {echo}\n\n{OLD}")
    });
    let head = [("content-type", "text/event-stream")];
    Ok((head, body.await.unwrap()).into_response())
}

fn header<'a>(response: &'a reqwest::Response, name: &str) -> Option<&'a str> {
    let value = response.headers().get(name)?;
    Some(value.to_str().unwrap())
}

fn done() -> Vec<Step> {
    vec![send(SSE_HEAD), chunk("data: [DONE]\n\n"), last_chunk()]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_percentage_changes_at_run_time_and_every_key_goes_where_its_hash_says() {
    let lab = Migration::at(0, done()).await;
    let keys: Vec<_> = (0..40).map(|n| format!("session-{n}")).collect();
    for percent in [0, 20, 90, 100, 20] {
        let (status, shown) = lab.put(&json!({"percentage": percent}).to_string()).await;
        assert_eq!((status, &shown["percentage"]), (200, &json!(percent)));
        for key in &keys {
            let expected = if bucket(0, key.as_bytes()) < percent {
                "async"
            } else {
                "blocking"
            };
            let response = lab.get(key).await;
            assert_eq!(
                header(&response, "x-stream-method"),
                Some(expected),
                "{key}"
            );
            assert_eq!(header(&response, "x-stream-fallback"), None);
            assert!(response.text().await.unwrap().ends_with("data: [DONE]\n\n"));
        }
    }
    let snapshot = lab.app.rollout.snapshot();
    let requests: u64 = snapshot
        .cohorts
        .values()
        .map(|cohort| cohort.requests)
        .sum();
    assert_eq!(requests, 200);
    for cohort in snapshot.cohorts.values() {
        assert_eq!(cohort.outcomes["complete"], cohort.requests);
        assert_eq!(cohort.first_bytes, cohort.requests);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_percentage_is_refused_and_changes_nothing() {
    let lab = Migration::at(20, done()).await;
    for wrong in [
        "{\"percentage\": 101}",
        "{\"percentage\": -1}",
        "{\"percentage\": 5.5}",
        "{\"percentage\": \"50\"}",
        "{\"percent\": 50}",
        "{\"percentage\": 50, \"seed\": 1}",
        "{}",
        "50",
        "",
    ] {
        let (status, answer) = lab.put(wrong).await;
        assert_eq!(status, 400, "{wrong}: {answer}");
        assert_eq!(answer["error"]["code"], "invalid_percentage");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains("0 to 100"), "{message}");
    }
    for (query, status) in [
        ("percentage=101", 400),
        ("percentage=", 400),
        ("percent=50", 400),
        ("percentage=50&seed=1", 400),
        ("percentage=20", 200),
    ] {
        let url = format!("http://{}/rollout?{query}", lab.addr);
        let answer = lab.client.put(url).send().await.unwrap();
        assert_eq!(answer.status(), status, "{query}");
    }
    assert_eq!(lab.app.rollout.percentage().get(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_without_a_key_are_shared_out() {
    let lab = Migration::at(50, done()).await;
    let mut methods = std::collections::BTreeSet::new();
    for key in ["", "", "", "", "", "", "", "", "", "", "", ""] {
        let response = lab.get(key).await;
        methods.insert(header(&response, "x-stream-method").unwrap().to_owned());
    }
    assert_eq!(methods.len(), 2, "{methods:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_byte_the_old_path_takes_over_and_the_response_says_so() {
    let short = generous().with_idle(Duration::from_secs(2));
    for (script, reason) in [
        (vec![Step::Close], "upstream_failed"),
        (vec![send(SSE_HEAD), Step::Close], "upstream_failed"),
        (vec![send(SSE_HEAD), last_chunk()], "upstream_truncated"),
        (vec![send(SSE_HEAD), Step::Silence], "upstream_idle_timeout"),
        (vec![Step::Silence], "upstream_head_timeout"),
    ] {
        // A machine that is busy must not turn a failure into silence.
        let is_silent = reason.ends_with("_timeout");
        let timeouts = if is_silent { short } else { generous() };
        let lab = Migration::with(100, script.clone(), timeouts, 1, false).await;
        let response = lab.get("anybody").await;
        assert_eq!(response.status(), 200, "{script:?}");
        assert_eq!(header(&response, "x-stream-method"), Some("blocking"));
        assert_eq!(header(&response, "x-stream-fallback"), Some(reason));
        assert!(response.text().await.unwrap().ends_with(OLD), "{script:?}");
        lab.assert_ended(StreamMethod::Async, json!({"complete": 1}))
            .await;
        let snapshot = lab.app.rollout.snapshot();
        assert_eq!(snapshot.fallbacks[reason], 1);
        assert_eq!(
            snapshot.cohorts[&StreamMethod::Blocking].requests,
            0,
            "it stays in its cohort"
        );
        // A connection whose answer was whole is kept for the next request.
        let kept = usize::from(reason == "upstream_truncated");
        eventually("permit and upstream let go", async || {
            lab.app.relay.snapshot().permits_in_use == 0 && lab.upstream.open() == kept
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_path_gets_the_same_request() {
    let lab = Migration::at(100, vec![Step::Close]).await;
    let request = lab.client.post(format!("http://{}/stream", lab.addr));
    let response = request.body("the body").send().await.unwrap();
    let text = response.text().await.unwrap();
    assert_eq!(text, format!("data: the body\n\n{OLD}"));
    let sent = &lab.upstream.requests()[0];
    assert!(sent.ends_with("the body"), "{sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_first_byte_the_stream_is_ended_and_not_begun_again() {
    let script = vec![send(SSE_HEAD), chunk("data: 1\n\n"), Step::Close];
    let lab = Migration::at(100, script).await;
    let response = lab.get("anybody").await;
    assert_eq!(header(&response, "x-stream-method"), Some("async"));
    assert_eq!(header(&response, "x-stream-fallback"), None);
    let text = response.text().await.unwrap();
    assert!(text.starts_with("data: 1\n\ndata: {\"error\""), "{text}");
    assert_eq!(lab.asked_old(), 0);
    lab.assert_ended(StreamMethod::Async, json!({"failed": 1}))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstreams_status_is_an_answer_and_a_limit_a_refusal() {
    let refusal = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy";
    let lab = Migration::at(100, vec![send(refusal)]).await;
    let response = lab.get("anybody").await;
    assert_eq!(response.status(), 503);
    assert_eq!(header(&response, "x-stream-method"), Some("async"));
    assert_eq!(response.text().await.unwrap(), "busy");
    lab.assert_ended(StreamMethod::Async, json!({"refused": 1}))
        .await;
    assert_eq!(
        lab.app.rollout.snapshot().cohorts[&StreamMethod::Async].first_bytes,
        0
    );

    let held = lab.app.relay.snapshot().permits_limit;
    let permits: Vec<_> = (0..held).map(|_| lab.app.relay.permit().unwrap()).collect();
    let response = lab.get("anybody").await;
    assert_eq!(response.status(), 503);
    assert_eq!(header(&response, "x-stream-method"), Some("async"));
    drop(permits);
    assert_eq!(lab.asked_old(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_say_which_path_as_well() {
    let lab = Migration::with(100, vec![Step::Close], generous(), 9, true).await;
    let response = lab.get("anybody").await;
    assert_eq!(response.status(), 502);
    assert_eq!(header(&response, "x-stream-method"), Some("blocking"));
    assert_eq!(
        header(&response, "x-stream-fallback"),
        Some("upstream_failed")
    );
    lab.assert_ended(StreamMethod::Async, json!({"refused": 1}))
        .await;

    // What is wrong with the request is no reason to try the other path with it.
    let request = lab.client.post(format!("http://{}/stream", lab.addr));
    let response = request.body("more than ten bytes").send().await.unwrap();
    assert_eq!(response.status(), 413);
    assert_eq!(header(&response, "x-stream-method"), Some("async"));
    assert_eq!(lab.asked_old(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_is_counted_by_what_it_had_and_lets_the_upstream_go() {
    let lab = Migration::at(100, vec![send(SSE_HEAD), Step::Silence]).await;
    let url = format!("http://{}/stream", lab.addr);
    let asking = tokio::spawn(lab.client.get(&url).send());
    eventually("in flight", async || {
        let now = lab.app.rollout.snapshot();
        now.in_flight[&StreamMethod::Async] == 1 && lab.upstream.open() == 1
    })
    .await;
    asking.abort();
    lab.assert_ended(StreamMethod::Async, json!({"unserved": 1}))
        .await;
    eventually("upstream let go", async || lab.upstream.open() == 0).await;

    let script = vec![send(SSE_HEAD), chunk("data: 1\n\n"), Step::Silence];
    let lab = Migration::at(100, script).await;
    let mut bytes = lab.get("anybody").await.bytes_stream();
    bytes.next().await.unwrap().unwrap();
    drop(bytes);
    lab.assert_ended(StreamMethod::Async, json!({"client_gone": 1}))
        .await;
    assert_eq!(lab.asked_old(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_cut_off_has_failed_on_either_path() {
    let event = chunk("data: 1\n\n");
    for script in [
        vec![send(SSE_HEAD), event.clone(), last_chunk()],
        vec![send(SSE_HEAD), event, Step::Close],
    ] {
        let lab = Migration::at(0, script).await;
        lab.app.old_relays.store(true, Ordering::SeqCst);
        let _ = lab.get("anybody").await.text().await;
        lab.assert_ended(StreamMethod::Blocking, json!({"failed": 1}))
            .await;
        lab.app.rollout.set_percentage(Percentage::ALL);
        let _ = lab.get("anybody").await.text().await;
        lab.assert_ended(StreamMethod::Async, json!({"failed": 1}))
            .await;
        assert_eq!(lab.asked_old(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_the_cohorts_apart() {
    let lab = Migration::at(0, done()).await;
    lab.get("one").await.text().await.unwrap();
    lab.app.rollout.set_percentage(Percentage::ALL);
    lab.get("one").await.text().await.unwrap();
    lab.assert_ended(StreamMethod::Async, json!({"complete": 1}))
        .await;
    lab.assert_ended(StreamMethod::Blocking, json!({"complete": 1}))
        .await;

    let mut registry = Registry::default();
    lab.app.rollout.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        "rollout_async_ratio 1.0",
        "rollout_in_flight{method=\"async\"} 0",
        "rollout_requests_total{cohort=\"async\"} 1",
        "rollout_requests_total{cohort=\"blocking\"} 1",
        "rollout_endings_total{cohort=\"async\",ending=\"complete\"} 1",
        "rollout_endings_total{cohort=\"blocking\",ending=\"failed\"} 0",
        "rollout_ttft_seconds_count{cohort=\"async\"} 1",
        "rollout_ttft_seconds_bucket{le=\"+Inf\",cohort=\"blocking\"} 1",
    ] {
        assert!(
            text.lines().any(|candidate| candidate == line),
            "no `{line}` in {text}"
        );
    }
}
