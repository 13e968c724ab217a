//! The permit limits bodies, not heads; and a slow client is no fault of the upstream.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn over_the_limit_is_a_503_until_the_body_ends() {
    let script = vec![send(SSE_HEAD), chunk("data: {}\n\n"), Step::Silence];
    let lab = Lab::spawn(generous(), 1, script).await;
    let mut first = lab.get().await.bytes_stream();
    first.next().await.unwrap().unwrap();

    let second = lab.get().await;
    assert_eq!(
        second.status(),
        StatusCode::SERVICE_UNAVAILABLE,
        "the head is out, the body is not"
    );
    assert_eq!(second.headers()["retry-after"], "1");
    let text = second.text().await.unwrap();
    assert!(text.contains("upstream_limit_reached"), "{text}");
    assert_eq!(
        lab.upstream.accepted(),
        1,
        "what is refused never reaches the upstream"
    );

    drop(first);
    eventually("permit back", async || lab.is_idle()).await;
    assert_eq!(lab.get().await.status(), StatusCode::OK);
    assert_eq!(lab.relay.snapshot().refused, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_stream_gives_its_permit_back_and_its_connection_is_used_again() {
    let script = vec![send(SSE_HEAD), chunk("data: [DONE]\n\n"), last_chunk()];
    let lab = Lab::spawn(generous(), 1, script).await;
    for _ in 0..5 {
        assert_eq!(lab.get().await.text().await.unwrap(), "data: [DONE]\n\n");
        eventually("permit back", async || lab.is_idle()).await;
    }
    assert_eq!(lab.ended("complete"), 5);
    assert_eq!(lab.upstream.accepted(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_does_not_use_up_the_idle_timeout() {
    let timeouts = generous().with_idle(Duration::from_secs(2));
    let flood = vec![chunked(&[b'x'; 64 * 1024]); 256].concat();
    let lab = Lab::spawn(
        timeouts,
        1,
        vec![send(OPAQUE_HEAD), Step::Send(flood), last_chunk()],
    )
    .await;
    let mut bytes = lab.get().await.bytes_stream();
    let mut received = bytes.next().await.unwrap().unwrap().len();
    tokio::time::sleep(timeouts.idle * 2).await;
    assert_eq!(
        lab.relay.snapshot().streams_open,
        1,
        "16 MiB do not fit into socket buffers"
    );
    while let Some(chunk) = bytes.next().await {
        received += chunk.expect("not broken off").len();
    }
    assert_eq!(received, 256 * 64 * 1024);
    lab.assert_ended_once("complete").await;
}

/// An app on `axum::serve`, which asks for no more of a body while a write to its client waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_gives_its_permit_back_at_the_total_timeout() {
    let timeouts = generous().with_total(Duration::from_secs(3));
    let event = format!("data: {}\n\n", "x".repeat(64 * 1024));
    let flood = chunked(event.as_bytes()).repeat(256);
    for (head, framed) in [(SSE_HEAD, true), (OPAQUE_HEAD, false)] {
        let script = vec![send(head), Step::Send(flood.clone()), Step::Silence];
        let lab = Lab::spawn(timeouts, 1, script).await;
        let mut client = TcpStream::connect(lab.app).await.unwrap();
        let request = b"GET /s HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        client.write_all(request).await.unwrap();
        eventually("relayed", async || lab.relay.snapshot().streams_open == 1).await;
        lab.assert_ended_once("deadline_exceeded").await;
        eventually("upstream released", async || lab.upstream.open() == 0).await;
        let next = lab.relay.permit().expect("the permit is another's now");

        // Whoever does read on in the end is told.
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        let rest = String::from_utf8_lossy(&rest);
        let end = &rest[rest.len() - 300..];
        assert_eq!(end.contains("deadline_exceeded"), framed, "{end}");
        assert_eq!(rest.ends_with("\r\n0\r\n\r\n"), framed, "{end}");
        drop(next);
        lab.assert_ended_once("deadline_exceeded").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_a_413_and_never_reaches_the_upstream() {
    let lab = Lab::with_script(vec![Step::Silence]).await;
    let mut client = TcpStream::connect(lab.app).await.unwrap();
    let announced = relay::REQUEST_BODY_LIMIT + 1;
    let head = format!("POST /s HTTP/1.1\r\nhost: a\r\ncontent-length: {announced}\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    assert_eq!(lab.upstream.accepted(), 0);
    assert!(lab.is_idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_limit_a_body_is_not_read_before_the_refusal() {
    let lab = Lab::spawn(generous(), 1, vec![Step::Silence]).await;
    let held = lab.relay.permit().unwrap();
    let mut client = TcpStream::connect(lab.app).await.unwrap();
    let head = "POST /s HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nthe first of it";
    client.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 503", "and the rest has not come");
    assert_eq!(lab.relay.snapshot().refused, 1);
    drop(held);
    assert!(lab.is_idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_trickles_its_own_body_is_ended_at_the_total_timeout() {
    let timeouts = generous().with_total(Duration::from_millis(400));
    let lab = Lab::spawn(timeouts, 1, vec![Step::Silence]).await;
    let mut client = TcpStream::connect(lab.app).await.unwrap();
    let head = "POST /s HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    let (mut answers, mut uploads) = client.into_split();
    let trickle = tokio::spawn(async move {
        while uploads.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut answer = [0; 12];
    let answered = answers.read_exact(&mut answer);
    let answered = tokio::time::timeout(generous().total, answered).await;
    answered.expect("it is not waited for any longer").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert_eq!(lab.upstream.accepted(), 0);
    trickle.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stalls_its_own_body_does_not_keep_the_permit() {
    let timeouts = generous().with_idle(Duration::from_millis(200));
    let lab = Lab::spawn(timeouts, 1, vec![Step::Silence]).await;
    let mut client = TcpStream::connect(lab.app).await.unwrap();
    let head = "POST /s HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf";
    client.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert!(lab.is_idle());
}

pub async fn post(app: SocketAddr, announced: usize, body: &str) -> TcpStream {
    let mut client = TcpStream::connect(app).await.unwrap();
    let head = format!("POST /s HTTP/1.1\r\nhost: a\r\ncontent-length: {announced}\r\n\r\n");
    let request = [head.as_bytes(), body.as_bytes()].concat();
    client.write_all(&request).await.unwrap();
    client
}

pub async fn status(client: &mut TcpStream) -> String {
    let mut answer = [0; 12];
    client.read_exact(&mut answer).await.unwrap();
    String::from_utf8(answer.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_waited_for_are_limited_and_one_that_is_there_passes() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let mut lab = Lab::spawn(generous(), 9, vec![send(answer)]).await;
    lab.relay = lab.relay.with_max_bodies(1);
    let mut slow = post(lab.app, 10, "half").await;
    eventually("it is read", async || {
        lab.relay.snapshot().bodies_reading == 1
    })
    .await;

    let mut refused = post(lab.app, 10, "half").await;
    assert_eq!(status(&mut refused).await, "HTTP/1.1 503");
    let mut rest = vec![0; 1024];
    let length = refused.read(&mut rest).await.unwrap();
    let rest = String::from_utf8_lossy(&rest[..length]).into_owned();
    assert!(rest.contains("retry-after: 1"), "{rest}");
    assert_eq!(lab.relay.snapshot().refused, 1);

    let mut whole = post(lab.app, 5, "whole").await;
    assert_eq!(status(&mut whole).await, "HTTP/1.1 200");
    slow.write_all(b"-whole").await.unwrap();
    assert_eq!(status(&mut slow).await, "HTTP/1.1 200");
    let bodies: Vec<_> = lab.upstream.requests();
    assert!(bodies[0].ends_with("\r\n\r\nwhole"), "{bodies:?}");
    assert!(bodies[1].ends_with("\r\n\r\nhalf-whole"), "{bodies:?}");
    assert_eq!(lab.relay.snapshot().bodies_reading, 0);

    // One who leaves gives the place back.
    let left = post(lab.app, 10, "half").await;
    let reading = || lab.relay.snapshot().bodies_reading;
    eventually("it is read", async || reading() == 1).await;
    drop(left);
    eventually("the place is free", async || reading() == 0).await;
}
