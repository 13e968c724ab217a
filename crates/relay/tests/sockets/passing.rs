//! What passes, passes unchanged.

use std::time::Duration;

use futures_util::StreamExt;
use http::StatusCode;

use super::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_relayed_byte_for_byte_however_it_is_sliced() {
    let mut payload: Vec<u8> = (0..200)
        .flat_map(|n| format!("data: {{\"n\":{n},\"c\":\"žluť 🦀\"}}\r\n\r\n").into_bytes())
        .collect();
    payload.extend_from_slice(b"data: [DONE]\n\n");
    // Slices of 1 to 61 bytes cut events, line ends and UTF-8 sequences.
    let (mut script, mut rest, mut size) = (vec![send(SSE_HEAD)], &payload[..], 1);
    while !rest.is_empty() {
        let (slice, after) = rest.split_at(size.min(rest.len()));
        script.push(Step::Send(chunked(slice)));
        if size % 7 == 0 {
            script.push(Step::Pause(Duration::from_millis(1)));
        }
        (rest, size) = (after, size % 61 + 1);
    }
    script.push(last_chunk());
    let lab = Lab::with_script(script).await;
    assert_eq!(lab.get().await.bytes().await.unwrap(), payload);
    lab.assert_ended_once("complete").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_passed_on_when_it_comes_and_not_later() {
    let lab = Lab::with_script(vec![send(SSE_HEAD), chunk("data: 1\n\n"), Step::Silence]).await;
    let mut bytes = lab.get().await.bytes_stream();
    let first = tokio::time::timeout(PATIENCE, bytes.next())
        .await
        .expect("held back");
    assert_eq!(first.unwrap().unwrap(), "data: 1\n\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn method_path_query_headers_and_body_reach_the_upstream() {
    let answer = "HTTP/1.1 201 Created\r\ncontent-length: 2\r\nx-request-id: r-1\r\nkeep-alive: timeout=9\r\n\r\nok";
    let lab = Lab::with_script(vec![send(answer)]).await;
    let response = lab
        .client
        .put(lab.url("/v1/things?a=b%20c"))
        .header("authorization", "Bearer key")
        .header("x-mock-ttft", "10ms")
        .header("accept-encoding", "gzip")
        .header("connection", "x-private")
        .header("x-private", "1")
        .body("{\"a\":1}")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.headers()["x-request-id"], "r-1");
    assert_eq!(response.headers()["content-length"], "2");
    assert!(
        !response.headers().contains_key("keep-alive"),
        "it concerns the upstream's connection"
    );
    assert_eq!(response.text().await.unwrap(), "ok");

    let request = &lab.upstream.requests()[0];
    assert!(
        request.starts_with("PUT /v1/things?a=b%20c HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(request.ends_with("\r\n\r\n{\"a\":1}"), "{request}");
    for passed in [
        "authorization: Bearer key",
        "x-mock-ttft: 10ms",
        "accept-encoding: gzip",
    ] {
        assert!(request.contains(passed), "{passed} is missing: {request}");
    }
    assert!(!request.contains("x-private"), "{request}");
    assert!(
        !request.contains(&lab.app.to_string()),
        "the relay's own host: {request}"
    );
    lab.assert_ended_once("complete").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_head_has_no_body_and_holds_nothing() {
    let lab = Lab::with_script(vec![send("HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n")]).await;
    let response = lab.client.head(lab.url("/v1/models")).send().await.unwrap();
    assert_eq!(response.headers()["content-length"], "17");
    lab.assert_ended_once("complete").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_the_clients_to_follow() {
    let answer = "HTTP/1.1 302 Found\r\nlocation: http://192.0.2.1/\r\ncontent-length: 0\r\n\r\n";
    let lab = Lab::with_script(vec![send(answer)]).await;
    let stay = reqwest::redirect::Policy::none();
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(stay)
        .build()
        .unwrap();
    let response = client.get(lab.url("/")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::FOUND);
    assert_eq!(response.headers()["location"], "http://192.0.2.1/");
}
