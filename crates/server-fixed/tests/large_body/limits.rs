//! What is not taken, and when that is said.

use std::time::Duration;

use tokio::io::AsyncReadExt;

use testkit::bodies::{SMALL, announce, body};
use testkit::{Client, PATIENCE, Request};

use crate::start;

const LIMIT: usize = 32 << 20;

/// Sends a small body on a connection that is kept; the status and the head of the answer.
async fn post_small(client: &mut Client) -> (u16, String) {
    client.send(&Request::post("/ping", SMALL)).await;
    let answer = client.answer().await;
    (answer.status, answer.head)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announced_length_over_the_limit_is_a_413_before_anything_is_sent() {
    let server = start("");
    for expect in [&[][..], &[("expect", "100-continue")]] {
        let mut client = server.connect().await;
        client
            .send(&announce("/ping", LIMIT + 1).with(expect))
            .await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 413, "and no 100 before it: {}", answer.head);
        assert_eq!(
            answer.message(),
            format!("the request body is larger than {LIMIT} bytes")
        );
    }
    assert_eq!(server.gauge("sizes").await["the test"]["above"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_that_is_not_announced_is_a_413_at_the_limit() {
    let server = start("");
    let mut client = server.connect().await;
    let chunked = Request::new("POST", "/pong").with(&[("transfer-encoding", "chunked")]);
    client.send(&chunked).await;
    let mut chunk = format!("{:x}\r\n", 1 << 20).into_bytes();
    chunk.resize(chunk.len() + (1 << 20), b' ');
    chunk.extend(b"\r\n");
    for _ in 0..LIMIT >> 20 {
        client.write(&chunk).await;
    }
    let mut byte = [0];
    let early =
        tokio::time::timeout(Duration::from_millis(300), client.socket.peek(&mut byte)).await;
    assert!(early.is_err(), "the limit is reached and not exceeded");
    client.write(b"1\r\n \r\n").await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 413, "though the body is not at its end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_everything_before_it_reads_is_told_as_well() {
    let server = start("");
    let mut client = server.connect().await;
    let length = LIMIT + (8 << 20);
    client.send(&announce("/ping", length)).await;
    client.write(&vec![b' '; length]).await;
    assert_eq!(client.answer().await.status, 413);
    assert_eq!(post_small(&mut client).await.0, 200, "and may stay");
}

/// Two are inside with one thread for parsing, 32 wait.
#[tokio::test(flavor = "multi_thread")]
async fn beyond_a_bounded_queue_is_a_503_at_once_and_small_bodies_pass() {
    let server = start("--cpu-threads 1");
    let mut slow = Vec::new();
    for _ in 0..34 {
        let mut client = server.connect().await;
        client.send(&announce("/ping", 1 << 20)).await;
        slow.push(client);
    }
    server.until("large_bodies", |it| it["queued"] == 32).await;
    let refused = tokio::time::timeout(PATIENCE / 2, server.post("/ping", &body(1 << 20)))
        .await
        .expect("at once");
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(
        refused.head.contains("\r\nretry-after: 1"),
        "{}",
        refused.head
    );
    assert_eq!(
        refused.message(),
        "32 large request bodies are waiting already"
    );
    assert_eq!(server.post("/ping", SMALL).await.status, 200);
    assert_eq!(server.gauge("large_bodies").await["refused"], 1);

    drop(slow);
    let answer = tokio::time::timeout(PATIENCE / 2, server.post("/ping", &body(1 << 20))).await;
    assert_eq!(answer.expect("their places are free").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn memory_does_not_grow_with_the_number_of_large_bodies() {
    const BODY: u64 = 8 << 20;
    let server = start("--cpu-threads 1");
    let body = body(BODY as usize);
    let idle = server.process.memory("VmHWM");
    let post = async || server.post("/pong", &body).await.status;
    for _ in 0..2 {
        let answers = futures_util::future::join_all((0..16).map(|_| post())).await;
        assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    }
    let grown = server.process.memory("VmHWM") - idle;
    // Two are inside. All sixteen would be 128 MiB in bytes alone.
    assert!(grown < 6 * BODY, "{} MiB", grown >> 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keep_alive_the_server_closes_after_each_answer() {
    for (flags, closes) in [("--keep-alive off", true), ("", false)] {
        let server = start(flags);
        let mut client = server.connect().await;
        let (status, head) = post_small(&mut client).await;
        assert_eq!(status, 200);
        assert_eq!(head.contains("\r\nconnection: close"), closes);
        if closes {
            assert_eq!(client.socket.read(&mut [0]).await.expect("no reset"), 0);
        } else {
            assert_eq!(post_small(&mut client).await.0, 200);
        }
    }
}
