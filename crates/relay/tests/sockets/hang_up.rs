//! A client that hangs up frees the upstream's connection and the permit at once, at every stage.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::support::*;

const EVENT: &str = "data: {\"n\":1}\n\n";

/// Waits for the first bytes, hangs up, and expects everything back.
async fn hang_up_after_first_bytes(script: Vec<Step>, ending: &str) {
    let lab = Lab::with_script(script).await;
    let mut bytes = lab.get().await.bytes_stream();
    bytes.next().await.unwrap().unwrap();
    assert_eq!(lab.relay.snapshot().permits_in_use, 1);
    assert_eq!(lab.upstream.open(), 1);
    drop(bytes);
    eventually("upstream released", async || lab.upstream.open() == 0).await;
    lab.assert_ended_once(ending).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_on_a_silent_stream_is_noticed() {
    let script = vec![send(SSE_HEAD), chunk(EVENT), Step::Silence];
    hang_up_after_first_bytes(script, "client_gone").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_on_a_flowing_stream_is_noticed() {
    let repeat = Step::Repeat(chunked(EVENT.as_bytes()));
    hang_up_after_first_bytes(vec![send(SSE_HEAD), repeat], "client_gone").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_at_done_has_the_whole_stream() {
    let script = vec![
        send(SSE_HEAD),
        chunk("data: {}\n\ndata: [DONE]\n\n"),
        Step::Silence,
    ];
    hang_up_after_first_bytes(script, "complete").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_before_the_head_is_noticed() {
    let lab = Lab::with_script(vec![Step::Silence]).await;
    let mut client = TcpStream::connect(lab.app).await.unwrap();
    let body = "x".repeat(200_000);
    let request = format!(
        "POST /s HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    client.write_all(request.as_bytes()).await.unwrap();
    client.write_all(body.as_bytes()).await.unwrap();
    eventually("request upstream", async || {
        lab.upstream.requests().len() == 1
    })
    .await;
    assert_eq!(lab.relay.snapshot().awaiting_head, 1);
    drop(client);
    eventually("upstream released", async || lab.upstream.open() == 0).await;
    lab.assert_ended_once("client_gone").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_hang_ups_leave_nothing_behind() {
    let script = vec![send(SSE_HEAD), chunk(EVENT), Step::Silence];
    let lab = Lab::spawn(generous(), 200, script).await;
    let mut streams = Vec::new();
    for _ in 0..200 {
        let mut bytes = Box::pin(lab.get().await.bytes_stream());
        bytes.next().await.unwrap().unwrap();
        streams.push(bytes);
    }
    assert_eq!(lab.upstream.open(), 200);
    drop(streams);
    eventually("upstream released", async || lab.upstream.open() == 0).await;
    eventually("permits back", async || lab.is_idle()).await;
    assert_eq!(lab.ended("client_gone"), 200);
    assert_eq!(lab.relay.snapshot().permits_peak, 200);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(lab.ended("client_gone"), 200, "each ends once");
}
