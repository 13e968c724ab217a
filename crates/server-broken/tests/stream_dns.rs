//! An async client that dials a host name, beside work that fills the pool.

use std::time::Duration;

use crate::stage::{Stage, THREADS};
use testkit::{STUCK, eventually};

const STREAM: &str = "/chat/stream?ttft=0s&interval=1ms&chunks=3";

/// Holds every thread of the pool for `work`.
async fn fill_the_pool(stage: &Stage, work: &str) {
    for _ in 0..THREADS {
        let url = format!("{}/predict?work={work}", stage.url);
        tokio::spawn(stage.http.post(url).send());
    }
    eventually("all threads are held", async || {
        stage.gauge("pool").await["busy"] == THREADS
    })
    .await;
}

/// The status of a stream that is whole, or `None` if it has not come in a while.
async fn stream(stage: &Stage) -> Option<u16> {
    let answer = stage.http.get(format!("{}{STREAM}", stage.url)).send();
    let answer = tokio::time::timeout(STUCK, answer).await.ok()?.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    assert!(
        status != 200 || text.ends_with("data: [DONE]\n\n"),
        "{text}"
    );
    Some(status)
}

fn reached_the_upstream(stage: &Stage) -> u64 {
    stage.stand.mock.ledger().tally().started
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_to_a_name_waits_for_a_thread_and_one_to_an_address_does_not() {
    let by_name = Stage::start(&["--variant", "dns"]);
    fill_the_pool(&by_name, "1m").await;
    assert_eq!(
        stream(&by_name).await,
        None,
        "nothing in its handler blocks"
    );
    assert_eq!(reached_the_upstream(&by_name), 0);
    assert!(by_name.answers("/debug/health-async").await);

    // Async by address, beside the same pool.
    let by_address = Stage::start(&["--variant", "client-per-request"]);
    fill_the_pool(&by_address, "1m").await;
    assert_eq!(stream(&by_address).await, Some(200));
    assert_eq!(by_address.gauge("pool").await["busy"], THREADS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lookup_waits_until_the_first_thread_comes_free() {
    let stage = Stage::start(&["--variant", "dns"]);
    fill_the_pool(&stage, "3s").await;
    assert_eq!(stream(&stage).await, None);
    let url = format!("{}{STREAM}", stage.url);
    assert_eq!(stage.get(&url).await.status(), 200);
    // The other threads began later, so they may still be held.
    let completed = stage.gauge("pool").await["completed"].as_u64();
    assert!(completed >= Some(1), "no thread came free: {completed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_finds_an_idle_connection_looks_nothing_up() {
    let stage = Stage::start(&["--variant", "dns"]);
    assert_eq!(stream(&stage).await, Some(200));
    fill_the_pool(&stage, "1m").await;
    assert_eq!(
        stream(&stage).await,
        Some(200),
        "over the connection of before"
    );
    // Two at once need a second connection.
    let url = format!("{}/chat/stream?ttft=0s&interval=1s", stage.url);
    let mut open = stage.get(&url).await;
    open.chunk().await.unwrap().expect("a chunk");
    assert_eq!(stream(&stage).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lookup_is_a_part_of_connecting_and_ends_with_its_timeout() {
    let stage = Stage::start(&["--variant", "dns", "--connect-timeout", "300ms"]);
    fill_the_pool(&stage, "1m").await;
    assert_eq!(stream(&stage).await, Some(504));
    assert_eq!(reached_the_upstream(&stage), 0);
    let relay = stage.gauge("relay").await;
    assert_eq!(relay["permits_in_use"], 0, "{relay}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_no_name_stands_for_is_refused() {
    let flags = ["--variant", "dns", "--upstream", "http://192.0.2.1:9000"];
    let server = tokio::process::Command::new(crate::SERVER)
        .args(["--listen", "127.0.0.1:0"])
        .args(flags)
        .kill_on_drop(true)
        .output();
    let patience = Duration::from_secs(15);
    let output = tokio::time::timeout(patience, server)
        .await
        .unwrap()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("dials a host name"), "{said}");
}
