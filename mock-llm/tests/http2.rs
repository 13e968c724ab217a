//! HTTP/2 on the same listener: each stream has its own account, whatever becomes of its connection.

use crate::support;

use std::time::Duration;

use mock_llm::ledger::{Cause, Phase};
use support::{PATIENCE, Served, eventually, payloads, served, served_with};

/// A client that speaks HTTP/2 and has one connection.
fn client() -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
    client.http2_prior_knowledge().build().unwrap()
}

async fn get(client: &reqwest::Client, served: &Served, query: &str) -> reqwest::Response {
    let url = served.url(&format!("/slow_stream?{query}"));
    client.get(url).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_one_connection_are_whole_and_http1_is_spoken_beside_it() {
    let served = served().await;
    let client = client();
    let streams = (0..50).map(|_| async {
        let response = get(&client, &served, "chunks=20").await;
        assert_eq!(response.version(), reqwest::Version::HTTP_2);
        let text = response.text().await.unwrap();
        assert_eq!(payloads(&text).len(), 21, "{text}");
    });
    futures_util::future::join_all(streams).await;
    let stats = served.mock.stats();
    assert_eq!(stats.connections, 1);
    assert_eq!((stats.tally.completed, stats.tally.started), (50, 50));

    let plain = served.get("/slow_stream").await;
    assert_eq!(plain.version(), reqwest::Version::HTTP_11);
    assert_eq!(payloads(&plain.text().await.unwrap()).len(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_resets_one_stream_leaves_the_others_alone() {
    let served = served().await;
    let client = client();
    let endless = "chunks=100000&interval=10ms";
    let mut kept = get(&client, &served, endless).await;

    // In mid-stream, before the first token, and before the head.
    let mut left = get(&client, &served, endless).await;
    left.chunk().await.unwrap().unwrap();
    drop(left);
    drop(get(&client, &served, "fault=stall@0").await);
    let headless = get(&client, &served, "fault=slow-headers=1h");
    let waited = tokio::time::timeout(Duration::from_millis(100), headless).await;
    assert!(waited.is_err());

    let ledger = served.mock.ledger();
    eventually("three have ended", async || ledger.tally().aborted == 3).await;
    let ended = ledger.ended_streams(0);
    for record in &ended {
        assert_eq!(record.cause, Some(Cause::ClientStreamReset), "{record:?}");
    }
    let mut phases: Vec<_> = ended.iter().map(|record| record.phase).collect();
    phases.sort_unstable();
    let expected = [Phase::Headers, Phase::BeforeFirstToken, Phase::Decoding];
    assert_eq!(phases, expected);
    for _ in 0..5 {
        kept.chunk().await.unwrap().expect("it goes on");
    }
    let stats = served.mock.stats();
    assert_eq!((stats.tally.open, stats.connections), (1, 1));
    assert!(stats.tally.is_conserved());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_closes_the_connection_leaves_all_its_streams() {
    let served = served().await;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let url = served.url("/slow_stream?fault=stall@2");
    let streams = runtime.spawn(async move {
        let client = client();
        let mut streams = Vec::new();
        for _ in 0..3 {
            let mut response = client.get(&url).send().await.unwrap();
            response.chunk().await.unwrap().unwrap();
            streams.push(response);
        }
        streams
    });
    let streams = streams.await.unwrap();
    // Its tasks go, so nobody is left to reset a stream.
    runtime.shutdown_background();
    let ended = served.ended().await;
    assert_eq!(ended.len(), 3);
    for record in ended {
        let cause = record.cause.unwrap();
        assert!(
            matches!(cause, Cause::ClientFin | Cause::ClientRst),
            "{cause:?}"
        );
        assert!(record.hang_up_us.is_some());
    }
    drop(streams);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_resets_its_stream_alone_and_loses_nothing_before_it() {
    let served = served().await;
    let client = client();
    let mut other = get(&client, &served, "chunks=100000").await;
    for pace in ["", "&interval=0s&ttft=0s"] {
        let mut cut = get(&client, &served, &format!("fault=cut@3{pace}")).await;
        let mut text = Vec::new();
        let error = loop {
            match cut.chunk().await {
                Ok(Some(chunk)) => text.extend_from_slice(&chunk),
                Ok(None) => panic!("a clean end"),
                Err(error) => break error,
            }
        };
        assert!(format!("{error:?}").contains("INTERNAL_ERROR"), "{error:?}");
        assert_eq!(payloads(std::str::from_utf8(&text).unwrap()).len(), 3);
    }
    let ledger = served.mock.ledger();
    eventually("both have ended", async || ledger.tally().errored == 2).await;
    for record in ledger.ended_streams(0) {
        assert_eq!((record.cause, record.chunks), (Some(Cause::Cut), 3));
    }
    other.chunk().await.unwrap().expect("it goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_takes_the_connection_and_all_its_streams() {
    let served = served().await;
    let client = client();
    let mut other = get(&client, &served, "fault=stall@1").await;
    other.chunk().await.unwrap().unwrap();
    let mut reset = get(&client, &served, "fault=reset@3").await;
    let mut text = Vec::new();
    while let Ok(chunk) = reset.chunk().await {
        text.extend_from_slice(&chunk.expect("no clean end"));
    }
    assert_eq!(payloads(std::str::from_utf8(&text).unwrap()).len(), 3);
    while let Ok(chunk) = other.chunk().await {
        chunk.expect("no clean end");
    }
    let mut causes: Vec<_> = served.ended().await.iter().map(|r| r.cause).collect();
    causes.sort_unstable();
    assert_eq!(causes, [Some(Cause::Reset), Some(Cause::ServerClosed)]);
    eventually("the connection is gone", async || {
        served.mock.stats().connections == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_has_as_many_streams_as_it_may_and_the_client_keeps_the_rest() {
    let served = served_with(|config| config.max_http2_streams = Some(2)).await;
    let client = client();
    let first = get(&client, &served, "fault=stall@1").await;
    let _second = get(&client, &served, "fault=stall@1").await;
    let (third, ledger) = (client.clone(), served.mock.ledger());
    let url = served.url("/slow_stream");
    let third = tokio::spawn(async move { third.get(url).send().await.unwrap().text().await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(ledger.tally().started, 2, "the third was not sent");
    drop(first);
    let text = third.await.unwrap().unwrap();
    assert_eq!(payloads(&text).len(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_a_stream_stalls_that_stream() {
    let served = served().await;
    let client = client();
    let flood = "chunks=100000&interval=0s&bytes=1000";
    let unread = get(&client, &served, flood).await;
    let written = || served.mock.ledger().open_streams()[0].chunks;
    let mut before = 0;
    while written() != before || before == 0 {
        before = written();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // reqwest's window is 2 MiB.
    assert!(before < 4_000, "{before} KB of 100 MB");
    let text = get(&client, &served, "chunks=50").await.text().await;
    assert_eq!(payloads(&text.unwrap()).len(), 51, "the other flows");
    drop(unread);
}
