//! Clients that hang up on the fixed server: the upstream's ledger is the witness.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use testkit::{Alone, Stage, check, eventually, unless_stalled};

const CLIENTS: usize = 200;

fn unix_us() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    u64::try_from(now.as_micros()).expect("in range")
}

/// What must be back where it was: connections and tasks of the server, permits, upstream streams.
async fn levels(stage: &Stage) -> [u64; 4] {
    let gauges = stage.server.gauges().await;
    let stats = stage.stats().await;
    [
        &gauges["connections"],
        &gauges["tasks_alive"],
        &gauges["relay"]["permits_in_use"],
        &stats["open"],
    ]
    .map(|level| level.as_u64().expect("a level"))
}

/// Opens a stream, reads `chunks` pieces of it, hangs up, and returns when.
async fn hang_up_after(client: reqwest::Client, url: String, id: String, chunks: usize) -> u64 {
    let mut answer = client
        .get(url)
        .header("x-request-id", id)
        .send()
        .await
        .expect("an answer");
    for _ in 0..chunks {
        answer
            .chunk()
            .await
            .expect("a chunk")
            .expect("not yet the end");
    }
    let when = unix_us();
    drop(answer);
    when
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_hang_ups_in_mid_stream_release_everything_at_once() {
    let _alone = Alone::wait();
    unless_stalled(async || {
        let p99 = hang_ups_release_everything().await;
        check(p99 < 100.0, format!("p99 {p99} ms"))
    })
    .await;
}

/// How long after its client left the upstream noticed, in milliseconds, of 99 % of the clients.
async fn hang_ups_release_everything() -> f64 {
    let stage = Stage::start("server-fixed", &[]);
    let client = lab::http::client(false).expect("a client");
    // The first exchange opens what stays open, such as the pool of connections to the upstream.
    let warm = stage.url("/chat/stream?chunks=50&interval=20ms&ttft=10ms");
    hang_up_after(client.clone(), warm, "warm".into(), 1).await;
    eventually("the warm-up is over", async || {
        levels(&stage).await[2..] == [0, 0]
    })
    .await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = levels(&stage).await;

    let url = stage.url("/chat/stream?chunks=1000&interval=50ms&ttft=50ms");
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let id = format!("hang-up-{n}");
            let task = hang_up_after(client.clone(), url.clone(), id.clone(), 3 + n % 5);
            (id, tokio::spawn(task))
        })
        .collect();
    let mut left = BTreeMap::new();
    for (id, task) in tasks {
        left.insert(id, task.await.expect("no panic"));
    }
    eventually("every upstream stream is released", async || {
        stage.stats().await["open"] == 0
    })
    .await;

    let history = stage.upstream_json("/streams?ended=true").await;
    let mut releases: Vec<u64> = history
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|stream| {
            let id = stream["request_id"].as_str()?;
            assert_ne!(stream["cause"], "completed", "{stream}");
            let ended = stream["ended_us"].as_u64()?;
            Some(ended.saturating_sub(*left.get(id)?))
        })
        .collect();
    releases.sort_unstable();
    assert_eq!(releases.len(), CLIENTS, "the ledger lacks some");
    let at = |share: f64| releases[(share * (CLIENTS - 1) as f64).ceil() as usize] as f64 / 1e3;
    println!(
        "hang-up to upstream release: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        at(0.5),
        at(0.99),
        at(1.0)
    );

    let endings: Value = stage.server.gauges().await["relay"]["endings"].clone();
    assert_eq!(endings["client_gone"], CLIENTS as u64 + 1, "{endings}");
    eventually("connections, tasks and permits are back", async || {
        levels(&stage).await == before
    })
    .await;
    at(0.99)
}
