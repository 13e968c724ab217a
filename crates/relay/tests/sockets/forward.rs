//! The one-call form: requests of the app's own, and every failure an answer.

use std::time::Duration;

use axum::body::to_bytes;
use axum::response::Response;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use relay::{Relay, RelayError, Terminal, Timeouts};
use serde_json::json;

use super::support::*;

fn whole_stream() -> Vec<Step> {
    vec![send(SSE_HEAD), chunk("data: [DONE]\n\n"), last_chunk()]
}

async fn text(response: Response) -> String {
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_the_apps_own_goes_with_method_headers_and_json() {
    let lab = Lab::with_script(whole_stream()).await;
    let mut copied = HeaderMap::new();
    for (name, value) in [
        ("x-request-id", "r-1"),
        ("cookie", "a=1"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("host", "elsewhere.example"),
    ] {
        copied.append(name, HeaderValue::from_static(value));
    }
    let response = lab
        .relay
        .build(Method::PATCH, "/v1/chat/completions?a=b")
        .header("cookie", "replaced=1")
        .headers(&copied)
        .header("authorization", String::from("Bearer key"))
        .json(&json!({"stream": true}))
        .forward()
        .await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(text(response).await, "data: [DONE]\n\n");

    let request = &lab.upstream.requests()[0];
    let line = "PATCH /v1/chat/completions?a=b HTTP/1.1\r\n";
    assert!(request.starts_with(line), "{request}");
    assert!(
        request.ends_with("\r\n\r\n{\"stream\":true}"),
        "the body: {request}"
    );
    for passed in [
        "x-request-id: r-1",
        "cookie: a=1",
        "authorization: Bearer key",
        "content-type: application/json",
        "content-length: 15",
    ] {
        assert!(request.contains(passed), "{passed} is missing: {request}");
    }
    for kept in ["x-hop", "elsewhere.example", "replaced"] {
        assert!(!request.contains(kept), "{kept} is there: {request}");
    }
    lab.assert_ended_once("complete").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_request_can_be_changed_before_it_goes() {
    let lab = Lab::with_script(whole_stream()).await;
    let mut request = axum::extract::Request::new("from the client".into());
    let header = HeaderValue::from_static("client's");
    request.headers_mut().insert("x-tenant", header);
    *request.method_mut() = Method::PUT;
    let outgoing = lab.relay.build_from(request, "/v1/things");
    let response = outgoing.header("x-tenant", "ours").forward().await;
    assert_eq!(response.status(), StatusCode::OK);
    let request = &lab.upstream.requests()[0];
    assert!(request.starts_with("PUT /v1/things "), "{request}");
    assert!(request.contains("x-tenant: ours\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\nfrom the client"), "{request}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permit_is_held_until_the_body_ends_and_may_be_waited_for() {
    let script = vec![send(SSE_HEAD), chunk("data: {}\n\n"), Step::Silence];
    let lab = Lab::spawn(generous(), 1, script).await;
    let get = || lab.relay.build(Method::GET, "/stream");
    let mut first = get().forward().await.into_body().into_data_stream();
    first.next().await.unwrap().unwrap();

    let refused = get().forward().await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");
    let wait = Duration::from_millis(50);
    let error = get().permit_within(wait).try_forward().await.unwrap_err();
    assert!(
        matches!(&error, RelayError::Shed(shed) if shed.waited >= wait),
        "{error:?}"
    );

    let relay = lab.relay.clone();
    let waiting = get().permit_within(Duration::from_secs(20)).forward();
    let waiting = tokio::spawn(waiting);
    eventually("one waits", async || relay.snapshot().permits_waiting == 1).await;
    drop(first);
    assert_eq!(waiting.await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_is_told_and_not_sent() {
    let lab = Lab::with_script(whole_stream()).await;
    let get = || lab.relay.build(Method::GET, "/stream");
    let not_json = std::collections::HashMap::from([((1, 2), 3)]);
    for (outgoing, status, code) in [
        (get().header("x-a", "b\r\nx-c: d"), 400, "invalid_request"),
        (get().header("no name", "b"), 400, "invalid_request"),
        (get().json(&not_json), 500, "request_not_serializable"),
        (
            get().body_limit(3).body("four"),
            413,
            "request_body_too_large",
        ),
        (
            lab.relay.build(Method::GET, "http://elsewhere.example/"),
            400,
            "invalid_request",
        ),
        (
            lab.relay.build(Method::CONNECT, "/stream"),
            400,
            "invalid_request",
        ),
    ] {
        // The first mistake is told, whatever comes after it.
        let response = outgoing.header("x-fine", "1").forward().await;
        assert_eq!(response.status(), status);
        let text = text(response).await;
        assert!(text.contains(code), "{text}");
    }
    assert_eq!(lab.upstream.accepted(), 0);
    assert!(lab.is_idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_before_the_head_is_an_answer() {
    let lab = Lab::with_script(vec![Step::Close]).await;
    let response = lab.relay.build(Method::GET, "/stream").forward().await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert!(text(response).await.contains("upstream_failed"));
    lab.assert_ended_once("upstream_failed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_call_ends_the_exchange() {
    let lab = Lab::with_script(vec![Step::Silence]).await;
    let call = tokio::spawn(lab.relay.build(Method::GET, "/stream").forward());
    eventually("a request upstream", async || lab.upstream.open() == 1).await;
    call.abort();
    eventually("upstream released", async || lab.upstream.open() == 0).await;
    lab.assert_ended_once("client_gone").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_event_stream_is_whole_once_it_is_said_to_need_no_terminal_event() {
    let events = "event: tick\ndata: 1\n\ndata: 2\n\n";
    let script = vec![send(SSE_HEAD), chunk(events), last_chunk()];
    let mut lab = Lab::with_script(script).await;
    let get = |relay: &Relay| relay.build(Method::GET, "/stream");

    let damaged = text(get(&lab.relay).forward().await).await;
    assert!(damaged.contains("upstream_truncated"), "{damaged}");
    let whole = get(&lab.relay).terminal(Terminal::Optional).forward();
    assert_eq!(text(whole.await).await, events);
    assert_eq!((lab.ended("truncated"), lab.ended("complete")), (1, 1));

    lab.relay = lab.relay.with_terminal(Terminal::Optional);
    assert_eq!(text(get(&lab.relay).forward().await).await, events);
    let app = spawn_app(lab.relay.clone()).await;
    let passed = lab.client.get(format!("http://{app}/stream")).send();
    assert_eq!(passed.await.unwrap().text().await.unwrap(), events);
    assert_eq!(lab.ended("complete"), 3);
    let strict = get(&lab.relay).terminal(Terminal::Required).forward();
    let damaged = text(strict.await).await;
    assert!(damaged.contains("upstream_truncated"), "{damaged}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_needs_no_terminal_event_still_must_not_end_inside_an_event() {
    for script in [
        vec![send(SSE_HEAD), chunk("data: 1\n\ndata: 2"), last_chunk()],
        vec![send(SSE_HEAD), chunk("data: 1\n\n"), Step::Close],
    ] {
        let lab = Lab::with_script(script).await;
        let relay = lab.relay.clone().with_terminal(Terminal::Optional);
        let got = text(relay.build(Method::GET, "/stream").forward().await).await;
        assert!(got.contains("\n\ndata: {\"error\""), "{got}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_limit_at_all_is_one_that_works() {
    let none = Timeouts::default()
        .with_connect(Duration::MAX)
        .with_idle(Duration::MAX)
        .with_total(Duration::MAX);
    let pause = Step::Pause(Duration::from_millis(50));
    let mut script = whole_stream();
    script.insert(1, pause);
    let lab = Lab::spawn(none, 1, script).await;
    let post = || lab.relay.build(Method::POST, "/stream").body("hello");
    let response = post().permit_within(Duration::MAX).forward().await;
    assert_eq!(text(response).await, "data: [DONE]\n\n");
    let elsewhere = format!("http://{}", lab.app).parse().unwrap();
    let relay = lab.relay.clone().with_fallbacks([elsewhere]).unwrap();
    let response = relay.build(Method::GET, "/stream").forward().await;
    assert_eq!(text(response).await, "data: [DONE]\n\n");
    assert_eq!(lab.ended("complete"), 2);
}
