//! However the upstream fails, the client can tell, and it is counted as what it was.

use std::time::Duration;

use http::StatusCode;

use super::support::*;

const EVENT: &str = "data: {\"n\":1}\n\n";

async fn json(response: reqwest::Response) -> serde_json::Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_upstream_becomes_an_error_event_and_a_clean_end() {
    let timeouts = generous().with_idle(Duration::from_secs(2));
    let lab = Lab::spawn(
        timeouts,
        1,
        vec![send(SSE_HEAD), chunk(EVENT), Step::Silence],
    )
    .await;
    let text = lab
        .get()
        .await
        .text()
        .await
        .expect("the transfer itself is whole");
    assert!(text.starts_with(EVENT), "{text}");
    assert_eq!(last_error_code(&text), "upstream_idle_timeout");
    lab.assert_ended_once("idle_timeout").await;
    eventually("upstream released", async || lab.upstream.open() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_takes_too_long_as_a_whole_is_ended_though_it_flows() {
    let timeouts = generous().with_total(Duration::from_secs(2));
    let repeat = Step::Repeat(chunked(EVENT.as_bytes()));
    let lab = Lab::spawn(timeouts, 1, vec![send(SSE_HEAD), repeat]).await;
    let text = lab.get().await.text().await.unwrap();
    assert_eq!(last_error_code(&text), "deadline_exceeded");
    lab.assert_ended_once("deadline_exceeded").await;
    eventually("upstream released", async || lab.upstream.open() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_in_mid_chunk_closes_the_event_and_adds_an_error_event() {
    // The pause lets the bytes through: a reset overtakes what is still in the sender's buffer.
    let pause = Step::Pause(Duration::from_millis(100));
    let script = vec![
        send(SSE_HEAD),
        chunk(EVENT),
        send("40\r\ndata: {\"ha"),
        pause,
        Step::Reset,
    ];
    let lab = Lab::with_script(script).await;
    let text = lab
        .get()
        .await
        .text()
        .await
        .expect("the transfer itself is whole");
    assert!(
        text.starts_with(&format!("{EVENT}data: {{\"ha\n\ndata: {{\"error\"")),
        "{text}"
    );
    assert_eq!(last_error_code(&text), "upstream_failed");
    lab.assert_ended_once("upstream_failed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_in_mid_chunk_adds_an_error_event() {
    let script = vec![
        send(SSE_HEAD),
        chunk(EVENT),
        send("40\r\ndata: {\"half\":"),
        Step::Close,
    ];
    let lab = Lab::with_script(script).await;
    let text = lab.get().await.text().await.unwrap();
    assert_eq!(last_error_code(&text), "upstream_failed");
    lab.assert_ended_once("upstream_failed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_end_without_done_is_never_silent() {
    let lab = Lab::with_script(vec![send(SSE_HEAD), chunk(EVENT), last_chunk()]).await;
    let text = lab.get().await.text().await.unwrap();
    assert_eq!(last_error_code(&text), "upstream_truncated");
    lab.assert_ended_once("truncated").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_event_of_the_upstream_is_not_doubled() {
    let event = "data: {\"error\":{\"message\":\"overloaded\"}}\n\n";
    let lab = Lab::with_script(vec![send(SSE_HEAD), chunk(event), Step::Close]).await;
    assert_eq!(lab.get().await.text().await.unwrap(), event);
    lab.assert_ended_once("in_band_error").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_stream_of_known_length_can_still_get_its_error_event() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 100\r\n\r\n";
    let lab = Lab::with_script(vec![send(head), send(EVENT), Step::Close]).await;
    let text = lab.get().await.text().await.unwrap();
    assert_eq!(last_error_code(&text), "upstream_failed");
    lab.assert_ended_once("upstream_failed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_body_that_is_no_event_stream_is_broken_off() {
    let lab = Lab::with_script(vec![send(OPAQUE_HEAD), chunk("half of it"), Step::Close]).await;
    let response = lab.get().await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(
        response.bytes().await.is_err(),
        "a broken transfer must not look whole"
    );
    lab.assert_ended_once("upstream_failed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_passes_with_its_body_and_its_headers() {
    let head =
        "HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\ncontent-type: application/json\r\n";
    let body = "{\"error\":{\"message\":\"slow down\"}}";
    let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    let lab = Lab::with_script(vec![send(&answer)]).await;
    let response = lab.get().await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "7");
    assert_eq!(response.text().await.unwrap(), body);
    lab.assert_ended_once("upstream_status").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_refuses_connections_is_a_502_without_its_address() {
    let unused = Nobody::new();
    let relay = relay_to(unused.address(), generous(), 1);
    let app = spawn_app(relay.clone()).await;
    let response = client()
        .get(format!("http://{app}/stream"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    let error = &json(response).await["error"];
    assert_eq!(error["code"], "upstream_unreachable");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("refused"), "{message}");
    assert!(
        !message.contains(&unused.address().port().to_string()),
        "{message}"
    );
    let snapshot = relay.snapshot();
    assert_eq!(
        (snapshot.endings["connect_failed"], snapshot.permits_in_use),
        (1, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_sends_no_head_is_a_504() {
    let timeouts = generous().with_idle(Duration::from_millis(200));
    let lab = Lab::spawn(timeouts, 1, vec![Step::Silence]).await;
    let response = lab.get().await;
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(
        json(response).await["error"]["code"],
        "upstream_head_timeout"
    );
    lab.assert_ended_once("idle_timeout").await;
    eventually("upstream released", async || lab.upstream.open() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_closes_before_its_head_is_a_502() {
    let lab = Lab::with_script(vec![Step::Close]).await;
    let response = lab.get().await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(json(response).await["error"]["code"], "upstream_failed");
    lab.assert_ended_once("upstream_failed").await;
}
