//! The variants of `stream`: the real server, in front of a real upstream whose ledger is the witness.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::stage::{Stage, THREADS};
use crate::support::eventually;

const VARIANTS: [&str; 5] = [
    "per-chunk",
    "client-per-request",
    "own-pool",
    "dns",
    "capped",
];

/// The plain form if `variant` is empty.
async fn start(variant: &str) -> Stage {
    match variant {
        "" => Stage::start(&[]).await,
        variant => Stage::start(&["--variant", variant]).await,
    }
}

/// Relays `count` streams at once, each to its end; the most that the upstream had at once.
async fn served_at_once(stage: &Stage, count: usize) -> u64 {
    let path = "/chat/stream?ttft=200ms&interval=200ms&chunks=8";
    let streams: Vec<_> = (0..count)
        .map(|_| tokio::spawn(stage.http.get(format!("{}{path}", stage.url)).send()))
        .collect();
    for stream in streams {
        let text = stream.await.unwrap().unwrap().text().await.unwrap();
        let chunks: Vec<&str> = text.split_terminator("\n\n").collect();
        assert_eq!(chunks.len(), 8 + 1, "{text}");
        for (k, chunk) in chunks[..8].iter().enumerate() {
            assert_eq!(*chunk, format!("data: {{\"chunk\":{k},\"of\":8}}"));
        }
    }
    stage.stand.mock.ledger().tally().open_peak
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_variant_relays_byte_for_byte() {
    for variant in VARIANTS {
        let stage = start(variant).await;
        for query in [
            "chunks=30&interval=2ms&ttft=1ms",
            "chunks=10&interval=1ms&ttft=0s&bytes=100000",
            "chunks=5&interval=1ms&fault=slice%3D2",
            "chunks=5&interval=1ms&fault=status%3D429",
        ] {
            let direct = format!("{}/slow_stream?{query}", stage.upstream);
            let relayed = format!("{}/chat/stream?{query}", stage.url);
            let (direct, relayed) = (stage.get(&direct).await, stage.get(&relayed).await);
            assert_eq!(direct.status(), relayed.status(), "{variant} {query}");
            for name in ["content-type", "cache-control", "retry-after"] {
                let of = |response: &reqwest::Response| response.headers().get(name).cloned();
                assert_eq!(of(&direct), of(&relayed), "{variant} {query} {name}");
            }
            let (direct, relayed) = (direct.bytes().await, relayed.bytes().await);
            assert!(direct.unwrap() == relayed.unwrap(), "{variant} {query}");
        }
        let models = stage.get(&format!("{}/v1/models", stage.url)).await;
        assert!(models.text().await.unwrap().contains("mock-small"));
        let chat = r#"{"model":"m","stream":true,"max_tokens":3,"messages":[{"role":"user"}]}"#;
        let chat = stage
            .http
            .post(format!("{}/v1/chat/completions", stage.url))
            .body(chat);
        let text = chat.send().await.unwrap().text().await.unwrap();
        assert!(text.ends_with("data: [DONE]\n\n"), "{variant}: {text}");
        assert!(text.contains("tok2 "), "{variant}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_per_chunk_serves_more_streams_at_once_than_there_are_threads() {
    let plain = start("").await;
    assert_eq!(
        served_at_once(&plain, 12).await,
        THREADS as u64,
        "a thread per stream"
    );
    let stage = start("per-chunk").await;
    assert_eq!(served_at_once(&stage, 12).await, 12);
    let pool = stage.gauge("pool").await;
    assert_eq!(
        pool["busy_peak"], THREADS,
        "the threads are still what is short"
    );
    // A job for each head and at least one for each chunk that came by itself.
    assert!(pool["completed"].as_u64() > Some(12 * 4), "{pool}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_silent_streams_as_threads_stop_all_others() {
    let stage = start("per-chunk").await;
    let mut silent = Vec::new();
    for _ in 0..THREADS {
        let url = format!("{}/chat/stream?ttft=0s&fault=stall@1", stage.url);
        let mut stream = stage.get(&url).await;
        stream.chunk().await.unwrap().expect("a chunk");
        silent.push(stream);
    }
    eventually("all threads wait", async || {
        stage.gauge("pool").await["busy"] == THREADS
    })
    .await;
    let url = format!("{}/chat/stream?ttft=0s&chunks=1", stage.url);
    let fifth = tokio::time::timeout(Duration::from_millis(500), stage.get(&url));
    assert!(fifth.await.is_err(), "the fifth is served");
    let on_the_loop = format!("{}/debug/health-async", stage.url);
    assert_eq!(stage.get(&on_the_loop).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_of_their_own_holds_streams_up_and_no_health_check() {
    let stage = start("own-pool").await;
    let url = format!("{}/chat/stream?ttft=0s&fault=stall@1", stage.url);
    let mut silent = Vec::new();
    for _ in 0..THREADS {
        let mut stream = stage.get(&url).await;
        stream.chunk().await.unwrap().expect("a chunk");
        silent.push(stream);
    }
    let fifth = tokio::time::timeout(Duration::from_millis(500), stage.get(&url));
    assert!(fifth.await.is_err(), "the fifth is served");
    let bulkhead = stage.gauge("bulkhead").await;
    assert_eq!(
        (&bulkhead["busy"], &bulkhead["capacity"]),
        (&THREADS.into(), &THREADS.into())
    );
    for path in ["/debug/health-sync", "/debug/health-async", "/health"] {
        assert!(stage.answers(path).await, "{path}");
    }
    // A stream that ends gives its thread to one that waits.
    assert_eq!(
        served_at_once(&start("own-pool").await, 12).await,
        THREADS as u64
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_per_request_holds_no_thread_and_uses_no_connection_twice() {
    let stage = start("client-per-request").await;
    assert_eq!(served_at_once(&stage, 12).await, 12);
    // No stream holds a thread; the watchdog's own canary takes one for an instant.
    let pool = stage.gauge("pool").await;
    assert!(pool["busy_peak"].as_u64() <= Some(1), "{pool}");
    for _ in 0..8 {
        let url = format!("{}/chat/stream?ttft=0s&interval=0s&chunks=2", stage.url);
        stage.get(&url).await.text().await.unwrap();
    }
    let ended = stage.stand.mock.ledger().ended_streams(0);
    let peers: BTreeSet<&str> = ended.iter().map(|record| record.peer.as_str()).collect();
    assert_eq!((ended.len(), peers.len()), (20, 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hang_up_frees_thread_permit_and_upstream_with_the_next_chunk() {
    for variant in ["per-chunk", "client-per-request", "dns", "capped"] {
        let stage = start(variant).await;
        let url = format!(
            "{}/chat/stream?ttft=50ms&interval=50ms&chunks=2000",
            stage.url
        );
        let mut clients = Vec::new();
        for _ in 0..8 {
            let mut client = stage.get(&url).await;
            client.chunk().await.unwrap().expect("a chunk");
            clients.push(client);
        }
        assert_eq!(stage.stand.mock.ledger().tally().open, 8);
        drop(clients);
        eventually("the upstream is released", async || {
            stage.stand.mock.ledger().tally().open == 0
        })
        .await;
        eventually("the threads are", async || {
            stage.gauge("pool").await["busy"] == 0
        })
        .await;
        let relay = stage.gauge("relay").await;
        assert_eq!(relay["permits_in_use"], 0, "{variant}");
        assert_eq!(relay["endings"]["client_gone"], 8, "{variant}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_breaks_off_is_told_as_the_plain_form_tells_it() {
    for variant in [
        "",
        "per-chunk",
        "client-per-request",
        "own-pool",
        "dns",
        "capped",
    ] {
        let stage = start(variant).await;
        let cut = format!("{}/chat/stream?interval=1ms&fault=cut@3", stage.url);
        let text = stage.get(&cut).await.text().await.unwrap();
        assert!(text.contains("\"chunk\":2,"), "{variant}: {text}");
        assert!(
            text.contains("\"code\":\"upstream_failed\""),
            "{variant}: {text}"
        );
    }
}
