//! A client with a limit on its connections, and more streams than that.

use std::time::Duration;

use crate::stage::Stage;
use testkit::eventually;

const CAP: usize = 3;

fn start() -> Stage {
    let connections = CAP.to_string();
    Stage::start(&[
        "--variant",
        "capped",
        "--upstream-connections",
        &connections,
    ])
}

/// Asks for `count` streams at once that last until their clients leave.
fn endless(stage: &Stage, count: usize) -> Vec<tokio::task::JoinHandle<reqwest::Response>> {
    let url = format!(
        "{}/chat/stream?ttft=0s&interval=50ms&chunks=10000",
        stage.url
    );
    let ask = |_| {
        let asked = stage.http.get(&url).send();
        tokio::spawn(async { asked.await.unwrap() })
    };
    (0..count).map(ask).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_streams_are_served_as_there_are_connections_and_nobody_refuses_the_others() {
    let stage = start();
    let streams = endless(&stage, 4 * CAP);
    eventually("all are asked for", async || {
        let relay = stage.gauge("relay").await;
        relay["streams_open"] == CAP && relay["permits_in_use"] == 4 * CAP
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let answered = streams.iter().filter(|stream| stream.is_finished()).count();
    assert_eq!(answered, CAP, "neither served nor refused");
    assert_eq!(stage.stand.mock.ledger().tally().open_peak, CAP as u64);
    let relay = stage.gauge("relay").await;
    assert_eq!(relay["refused"], 0);
    assert_eq!(relay["permits_waiting"], 0, "no gauge counts them");
    // Health sees nothing of it.
    assert!(stage.answers("/debug/health-sync").await);
    assert!(stage.answers("/debug/health-async").await);
    assert!(stage.gauge("pool").await["busy_peak"].as_u64() <= Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hang_up_makes_room_for_the_next_stream_and_so_does_its_end() {
    let stage = start();
    let first = endless(&stage, CAP);
    eventually("all connections are in use", async || {
        stage.gauge("relay").await["streams_open"] == CAP
    })
    .await;
    let url = format!("{}/chat/stream?ttft=0s&interval=1ms&chunks=2", stage.url);
    let waiting = tokio::spawn(stage.http.get(&url).send());
    let gone = tokio::spawn(stage.http.get(&url).send());
    eventually("two wait", async || {
        stage.gauge("relay").await["permits_in_use"] == CAP + 2
    })
    .await;
    gone.abort();
    eventually("one of them has left the queue", async || {
        stage.gauge("relay").await["permits_in_use"] == CAP + 1
    })
    .await;
    assert!(!waiting.is_finished());
    for stream in first.into_iter().take(1) {
        drop(stream.await.unwrap());
    }
    let text = waiting.await.unwrap().unwrap().text().await.unwrap();
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    let text = stage.get(&url).await.text().await.unwrap();
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
}
