//! All request bodies together stay within their budget of memory.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::limits::{post, status};
use super::support::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn kilobytes(count: usize) -> String {
    "x".repeat(count * 1000)
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_find_no_room_in_the_budget_are_refused_until_the_memory_is_free_again() {
    let mut lab = Lab::spawn(generous(), 9, vec![send(OK)]).await;
    lab.relay = lab.relay.with_body_budget(64_000);
    let held = || lab.relay.snapshot().body_bytes;
    let mut slow = post(lab.app, 60_000, &kilobytes(40)).await;
    eventually("it is held", async || held() >= 40_000).await;

    // By its announced length, before any of it is read.
    let mut announced = post(lab.app, 30_000, "the first of it").await;
    assert_eq!(status(&mut announced).await, "HTTP/1.1 503");
    let mut rest = vec![0; 1024];
    let length = announced.read(&mut rest).await.unwrap();
    let rest = String::from_utf8_lossy(&rest[..length]).into_owned();
    assert!(rest.contains("retry-after: 1"), "{rest}");
    assert_eq!(lab.relay.snapshot().refused, 1);

    // Without an announced length, when what has come finds no room.
    let mut chunked_body = TcpStream::connect(lab.app).await.unwrap();
    let head = b"POST /s HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    chunked_body.write_all(head).await.unwrap();
    let body = chunked(kilobytes(25).as_bytes());
    // The connection may be closed before all of it is written.
    let _ = chunked_body.write_all(&body).await;
    assert_eq!(status(&mut chunked_body).await, "HTTP/1.1 503");
    assert_eq!(lab.relay.snapshot().refused, 2);

    // A body for which there is room passes meanwhile.
    let mut small = post(lab.app, 1000, &kilobytes(1)).await;
    assert_eq!(status(&mut small).await, "HTTP/1.1 200");
    slow.write_all(kilobytes(20).as_bytes()).await.unwrap();
    assert_eq!(status(&mut slow).await, "HTTP/1.1 200");
    eventually("the memory is free", async || held() == 0).await;
    let mut next = post(lab.app, 30_000, &kilobytes(30)).await;
    assert_eq!(status(&mut next).await, "HTTP/1.1 200");
    assert_eq!(lab.relay.snapshot().refused, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_upload_at_once_their_bodies_stay_within_the_budget() {
    const BUDGET: usize = 1_000_000;
    let mut lab = Lab::spawn(generous(), 100, vec![send(OK)]).await;
    lab.relay = lab.relay.with_body_budget(BUDGET);
    let mut uploads = Vec::new();
    for _ in 0..40 {
        let (mut answers, mut body) = post(lab.app, 100_000, "").await.into_split();
        uploads.push(tokio::spawn(async move {
            for _ in 0..10 {
                // A refused client finds its connection closed.
                let _ = body.write_all(kilobytes(10).as_bytes()).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let mut answer = [0; 12];
            let read = answers.read_exact(&mut answer).await;
            read.is_ok() && &answer == b"HTTP/1.1 200"
        }));
    }
    let mut peak = 0;
    while !uploads.iter().all(tokio::task::JoinHandle::is_finished) {
        peak = peak.max(lab.relay.snapshot().body_bytes);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut served = 0;
    for upload in uploads {
        served += usize::from(upload.await.unwrap());
    }
    assert!((BUDGET / 2..=BUDGET).contains(&peak), "{peak} bytes");
    let refused = lab.relay.snapshot().refused;
    assert!(served >= 5 && refused >= 1, "{served} and {refused} of 40");
    eventually("all is given back", async || {
        lab.relay.snapshot().body_bytes == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_larger_than_the_whole_budget_is_a_413() {
    let mut lab = Lab::with_script(vec![send(OK)]).await;
    lab.relay = lab.relay.with_body_budget(5000);
    let mut large = post(lab.app, 5001, "the first of it").await;
    assert_eq!(status(&mut large).await, "HTTP/1.1 413");
    let mut fits = post(lab.app, 5000, &kilobytes(5)).await;
    assert_eq!(status(&mut fits).await, "HTTP/1.1 200");
    assert_eq!(lab.relay.snapshot().refused, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_not_held_while_its_answer_streams() {
    let script = vec![send(SSE_HEAD), chunk("data: {}\n\n"), Step::Silence];
    let lab = Lab::with_script(script).await;
    let question = lab.client.post(lab.url("/s")).body(kilobytes(50));
    let mut answer = question.send().await.unwrap().bytes_stream();
    answer.next().await.unwrap().unwrap();
    assert!(lab.upstream.requests()[0].ends_with(&kilobytes(50)));
    eventually("the memory is free", async || {
        lab.relay.snapshot().body_bytes == 0
    })
    .await;
    assert_eq!(lab.relay.snapshot().streams_open, 1);
}
