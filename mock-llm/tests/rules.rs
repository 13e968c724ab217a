//! Whom a fault befalls: the first, a share, no more than so many at once; and what the clients'
//! own repeats are counted as.

use crate::support;

use std::collections::BTreeSet;

use mock_llm::ledger::{Cause, Phase};
use support::{Served, chat_body, payloads, raw_get, served, served_with};

async fn with_fault(fault: &str) -> Served {
    served_with(|config| config.fault = Some(fault.parse().unwrap())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_n_fail_however_many_come_at_once() {
    let served = with_fault("first=7,status=503").await;
    let clients: Vec<_> = (0..40)
        .map(|_| {
            let served = served.clone();
            tokio::spawn(async move { served.get("/slow_stream").await.status().as_u16() })
        })
        .collect();
    let mut failed = 0;
    for client in clients {
        let status = client.await.unwrap();
        assert!(status == 503 || status == 200);
        failed += usize::from(status == 503);
    }
    assert_eq!(failed, 7);
    assert_eq!(served.get("/slow_stream").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_requests_own_first_n_are_its_own_attempts() {
    let served = served().await;
    for id in ["one", "two"] {
        let mut statuses = Vec::new();
        for attempt in 0..4 {
            let request = served
                .http
                .post(served.url("/v1/chat/completions"))
                .header("x-request-id", id)
                .header("x-mock-fault", "first=2,status=503,20ms")
                .header("x-stainless-retry-count", attempt.to_string());
            let response = request.body(chat_body(true).to_string()).send().await;
            statuses.push(response.unwrap().status().as_u16());
        }
        assert_eq!(statuses, [503, 503, 200, 200]);
    }
    let records = served.ended().await;
    let retries: Vec<u32> = records.iter().map(|record| record.retry).collect();
    assert_eq!(retries, [0, 1, 2, 3, 0, 1, 2, 3]);
    let tally = served.stats().await.tally;
    assert_eq!((tally.started, tally.retries), (8, 6));
    assert_eq!(tally.by_retry_count["1"], 2);
    let metrics = served.get("/metrics").await.text().await.unwrap();
    let line = "mock_llm_streams_started_by_attempt_total{retry_count=\"3\"} 2\n";
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_fails_the_same_requests_in_any_order_of_arrival() {
    let ids: Vec<String> = (0..200).map(|n| format!("request-{n}")).collect();
    let backwards: Vec<String> = ids.iter().rev().cloned().collect();
    let one = failing(&ids, 3).await;
    assert_eq!(one, failing(&backwards, 3).await);
    assert!((20..=60).contains(&one.len()), "{} of 200", one.len());
    assert_ne!(one, failing(&ids, 4).await, "the seed does nothing");
}

/// Which of the requests fail, sent a few at a time.
async fn failing(ids: &[String], seed: u64) -> BTreeSet<String> {
    let served = served_with(|config| {
        config.seed = seed;
        config.fault = Some("rate=0.2,status=500".parse().unwrap());
        config.chunks = 1;
    })
    .await;
    let mut failed = BTreeSet::new();
    for group in ids.chunks(20) {
        let asks: Vec<_> = group
            .iter()
            .map(|id| {
                let request = served.http.get(served.url("/slow_stream"));
                let request = request.header("x-request-id", id);
                (id, tokio::spawn(request.send()))
            })
            .collect();
        for (id, ask) in asks {
            if ask.await.unwrap().unwrap().status() == 500 {
                failed.insert(id.clone());
            }
        }
    }
    failed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cap_bounds_the_faults_that_are_under_way() {
    let served = with_fault("cap=2,stall@1").await;
    let mut stalled = Vec::new();
    for _ in 0..2 {
        let mut client = raw_get(served.address, "/slow_stream").await;
        client.until("\"chunk\":0,").await;
        stalled.push(client);
    }
    for _ in 0..5 {
        let text = served.get("/slow_stream").await.text().await.unwrap();
        assert_eq!(payloads(&text).len(), 6);
    }
    let faults = served.stats().await.faults;
    assert_eq!(
        (faults.active, faults.committed, faults.withheld),
        (2, 2, 5)
    );
    drop(stalled);
    served.ended().await;
    assert_eq!(served.stats().await.faults.active, 0);
    let mut again = raw_get(served.address, "/slow_stream").await;
    again.until("\"chunk\":0,").await;
    served
        .until(1, |record| record.phase == Phase::Decoding)
        .await;
    assert_eq!(served.stats().await.faults.active, 1);
    drop(again);
    let causes = served.ended().await;
    let completed = causes.iter().filter(|r| r.cause == Some(Cause::Completed));
    assert_eq!(completed.count(), 5);
}
