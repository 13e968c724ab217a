//! The limit on running streams, the queue in front of it, and the load, over real sockets.

use crate::support;

use std::time::Duration;

use mock_llm::clock::unix_us;
use mock_llm::ledger::{Cause, Phase, StreamRecord};
use serde_json::{Value, json};
use support::{Client, Served, chat_body, eventually, payloads, raw_chat, raw_get, served_with};

/// How soon a hang-up must be noticed.
const NOTICED_US: u64 = 200_000;

/// A stream that stays where it is until its client leaves.
const STALLED: &str = "/slow_stream?ttft=0s&fault=stall@1";

async fn served(max_running: u32, max_queued: u32) -> Served {
    served_with(|config| {
        config.max_running = Some(max_running);
        config.max_queued = max_queued;
    })
    .await
}

/// Clients whose streams run and stay.
async fn stalled(served: &Served, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = raw_get(served.address, STALLED).await;
        client.until("\"chunk\":0,").await;
        clients.push(client);
    }
    clients
}

fn is_queued(record: &StreamRecord) -> bool {
    record.phase == Phase::Queued
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_fit_waits_and_who_finds_the_queue_full_is_refused_in_his_dialect() {
    let served = served(2, 3).await;
    let running = stalled(&served, 2).await;
    let mut queued = Vec::new();
    for n in 1..=3 {
        queued.push(raw_get(served.address, STALLED).await);
        served.until(n, is_queued).await;
    }
    let refused = served.chat(chat_body(true), "").await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "1");
    let body: Value = serde_json::from_str(&refused.text().await.unwrap()).unwrap();
    assert_eq!(body["error"]["type"], "rate_limit_error");
    let keys = body["error"].as_object().unwrap().keys();
    let keys: Vec<&str> = keys.map(String::as_str).collect();
    assert_eq!(keys, ["code", "message", "param", "type"]);
    let message = json!({ "model": "m", "max_tokens": 3, "messages": [{ "role": "user" }] });
    let request = served.http.post(served.url("/v1/messages"));
    let refused = request.body(message.to_string()).send().await.unwrap();
    assert_eq!(refused.status(), 429);
    let body: Value = serde_json::from_str(&refused.text().await.unwrap()).unwrap();
    assert_eq!(
        (&body["type"], &body["error"]["type"]),
        (&json!("error"), &json!("rate_limit_error"))
    );

    let tally = served.stats().await.tally;
    assert!(tally.is_conserved(), "{tally:?}");
    assert_eq!((tally.open, tally.running, tally.queued), (5, 2, 3));
    assert_eq!((tally.started, tally.errored), (7, 2));
    assert_eq!(tally.by_cause[&Cause::Refused], 2);
    let metrics = served.get("/metrics").await.text().await.unwrap();
    for line in [
        "mock_llm_streams_queued 3\n",
        "mock_llm_streams_running 2\n",
        "mock_llm_streams_ended_total{cause=\"refused\"} 2\n",
        "mock_llm_queue_seconds_count 2\n",
    ] {
        assert!(metrics.contains(line), "no {line} in {metrics}");
    }
    drop((running, queued));
    served.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_the_queue_is_noticed_at_once_and_its_place_is_free() {
    let served = served(1, 1).await;
    let running = stalled(&served, 1).await;
    let body = chat_body(true).to_string();
    for cause in [Cause::ClientFin, Cause::ClientRst] {
        let client = raw_chat(served.address, ("x-any", "1"), &body).await;
        served.until(1, is_queued).await;
        let left_us = unix_us();
        match cause {
            Cause::ClientFin => drop(client),
            _ => client.reset(),
        }
        let record = newest_once_the_queue_is_empty(&served).await;
        assert_eq!((record.phase, record.cause), (Phase::Queued, Some(cause)));
        assert_eq!((record.admitted_us, record.chunks), (None, 0));
        let (noticed_us, ended_us) = (record.hang_up_us.unwrap(), record.ended_us.unwrap());
        assert!(
            left_us <= noticed_us && noticed_us <= ended_us,
            "{record:?}"
        );
        assert!(ended_us - left_us < NOTICED_US, "{record:?}");
    }
    // The one place in the queue is free again: the next one waits, and is not refused.
    let next = tokio::spawn({
        let served = served.clone();
        async move { served.get("/slow_stream").await }
    });
    served.until(1, is_queued).await;
    drop(running);
    assert_eq!(next.await.unwrap().status(), 200);
    served.ended().await;
    let stats = served.stats().await;
    assert!(stats.tally.is_conserved(), "{stats:?}");
    // One ran at once, two gave up, one waited and ran.
    assert_eq!(stats.queue_us.count, 4);
}

async fn newest_once_the_queue_is_empty(served: &Served) -> StreamRecord {
    eventually("nobody waits", async || {
        served.mock.ledger().tally().queued == 0
    })
    .await;
    StreamRecord::clone(served.mock.ledger().ended_streams(0).last().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_run_in_the_order_of_the_queue_and_their_time_begins_with_their_turn() {
    let served = served(1, 10).await;
    let path = "/slow_stream?ttft=60ms&interval=20ms&chunks=4";
    let mut clients = Vec::new();
    for n in 0..4 {
        let client = served.clone();
        clients.push(tokio::spawn(async move {
            client.get(path).await.text().await.unwrap()
        }));
        served.until(n, is_queued).await;
    }
    for client in clients {
        assert_eq!(payloads(&client.await.unwrap()).len(), 5);
    }
    let records = served.ended().await;
    for pair in records.windows(2) {
        assert!(pair[1].admitted_us >= pair[0].ended_us, "{records:?}");
        assert!(pair[1].id > pair[0].id, "{records:?}");
    }
    let stats = served.stats().await;
    assert_eq!((stats.tally.running_peak, stats.tally.queued_peak), (1, 3));
    // Each stream takes 120 ms, so the last one waited for 360 ms; that is nobody's lateness.
    assert!(stats.queue_us.max >= 340_000, "{stats:?}");
    assert_eq!(stats.queue_us.count, 4);
    assert!(stats.lateness_us.max < 100_000, "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_stream_is_accounted_for_when_clients_leave_a_crowded_queue() {
    let served = served(10, 50).await;
    let audit = tokio::spawn({
        let served = served.clone();
        async move {
            loop {
                let tally = served.mock.ledger().tally();
                assert!(tally.is_conserved(), "{tally:?}");
                assert!(tally.queued <= 50 && tally.running <= 10, "{tally:?}");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    let clients: Vec<_> = (0..300)
        .map(|n| tokio::spawn(come_and_go(served.clone(), n)))
        .collect();
    let mut refused = 0;
    for client in clients {
        refused += u64::from(client.await.unwrap());
    }
    served.ended().await;
    assert!(!audit.is_finished(), "the books did not balance");
    audit.abort();
    let tally = served.stats().await.tally;
    assert_eq!((tally.started, tally.queued, tally.running), (300, 0, 0));
    assert!(tally.by_cause[&Cause::Refused] >= refused, "{tally:?}");
    assert!(
        tally.by_phase[&Phase::Queued] > tally.by_cause[&Cause::Refused],
        "{tally:?}"
    );
    assert!(tally.completed > 0 && refused > 0, "{tally:?}");
    // All ten places are there again.
    drop(stalled(&served, 10).await);
}

/// Comes at some time and stays for some time; whether it was refused, as far as it has seen.
async fn come_and_go(served: Served, n: u64) -> bool {
    tokio::time::sleep(Duration::from_millis(n * 7 % 200)).await;
    let client = raw_get(served.address, "/slow_stream?interval=3ms").await;
    match n % 4 {
        0 => {
            tokio::time::sleep(Duration::from_millis(n * 3 % 80)).await;
            drop(client);
            false
        }
        1 => {
            tokio::time::sleep(Duration::from_millis(n * 3 % 80)).await;
            client.reset();
            false
        }
        _ => client.rest().await.text.starts_with("HTTP/1.1 429"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_with_all_places_taken_is_slower_by_the_load_factor() {
    let served = served_with(|config| {
        config.max_running = Some(4);
        config.load_factor = 6.0;
    })
    .await;
    let path = "/slow_stream?ttft=20ms&interval=20ms&chunks=6";
    let alone = served.get(path).await.text().await.unwrap();
    let crowd: Vec<_> = (0..4)
        .map(|_| {
            let served = served.clone();
            tokio::spawn(async move { served.get(path).await.text().await.unwrap() })
        })
        .collect();
    for client in crowd {
        assert_eq!(payloads(&client.await.unwrap()), payloads(&alone));
    }
    let took: Vec<u64> = served
        .ended()
        .await
        .iter()
        .map(|record| record.last_write_us.unwrap() - record.started_us)
        .collect();
    // The plan is 120 ms alone. In the crowd it is 720 ms, less what was planned before all were there.
    assert!(took[0] < 360_000, "{took:?}");
    assert!(took[1..].iter().all(|us| *us > 400_000), "{took:?}");
    assert!(
        served.stats().await.lateness_us.max < 100_000,
        "slow on plan"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_can_be_raised_and_lifted_while_streams_wait() {
    let served = served(1, 10).await;
    let running = stalled(&served, 1).await;
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let served = served.clone();
            tokio::spawn(async move { served.get(STALLED).await })
        })
        .collect();
    served.until(3, is_queued).await;
    assert_eq!(served.configure(json!({ "max_running": 2 })).await.0, 200);
    served
        .until(2, |record| record.phase == Phase::Decoding)
        .await;
    assert_eq!(served.stats().await.tally.queued, 2);
    assert_eq!(
        served.configure(json!({ "max_running": null })).await.0,
        200
    );
    served
        .until(4, |record| record.phase == Phase::Decoding)
        .await;
    for client in waiting {
        drop(client.await.unwrap());
    }
    drop(running);
    served.ended().await;
}
