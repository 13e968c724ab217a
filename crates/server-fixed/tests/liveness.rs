//! Full of predictions: what is too much is refused, and the probes say what is so.

use std::time::Instant;

use crate::start;
use testkit::{MS, Request, all};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_bulkhead_sheds_and_the_probe_stays_fast() {
    let server = start("--pool-threads 2 --queue 3");
    let predictions = server.clients(9, &Request::post("/predict?work=3s", ""));
    // Refused at once; a thread takes its job up a moment later.
    let is_full = |it: &serde_json::Value| it["refused"] == 4 && it["busy"] == 2;
    let bulkhead = server.until("bulkhead", is_full).await;
    assert_eq!(
        (&bulkhead["capacity"], &bulkhead["queue_limit"]),
        (&2.into(), &3.into())
    );
    assert_eq!(
        (&bulkhead["busy"], &bulkhead["queued"]),
        (&2.into(), &3.into())
    );
    for path in ["/livez", "/debug/health-sync", "/debug/health-async"] {
        let probe = server.get(path).await;
        assert!(
            probe.status == 200 && probe.took < 1000 * MS,
            "{path}: {probe:?}"
        );
    }
    let (served, refused): (Vec<_>, Vec<_>) = all(predictions)
        .await
        .into_iter()
        .partition(|answer| answer.status == 200);
    assert_eq!((served.len(), refused.len()), (5, 4));
    for answer in refused {
        assert_eq!(answer.status, 503);
        assert!(answer.has_header("retry-after: 1"), "{answer:?}");
        assert_eq!(answer.json()["error"]["code"], "bulkhead_full");
        assert!(answer.took < 2000 * MS, "refused at once: {answer:?}");
    }
    assert_eq!(server.gauge("bulkhead").await["completed"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_is_as_long_as_there_are_threads_unless_told_otherwise() {
    let server = start("--pool-threads 3");
    assert_eq!(server.gauge("bulkhead").await["queue_limit"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_ready_after_the_hold_time_and_ready_again_when_the_queue_was_empty_for_as_long()
{
    let server = start("--pool-threads 2 --queue 4 --readiness-hold 1s");
    assert_eq!(server.get("/readyz").await.status, 200);
    let filled = Instant::now();
    let predictions = server.clients(6, &Request::post("/predict?work=2s", ""));
    server.until("bulkhead", |it| it["queued"] == 4).await;
    if filled.elapsed() < 800 * MS {
        assert_eq!(server.get("/readyz?work=1s").await.status, 200, "not yet");
    }
    server.until("readiness", |it| it["ready"] == false).await;
    assert!(filled.elapsed() > 900 * MS, "{:?}", filled.elapsed());
    let asked = server.get("/readyz?work=1s").await;
    assert_eq!(
        (asked.status, asked.took < 500 * MS),
        (503, true),
        "{asked:?}"
    );
    assert_eq!(
        server.get("/livez").await.status,
        200,
        "it is alive all the same"
    );

    all(predictions).await;
    server.until("readiness", |it| it["ready"] == true).await;
    assert!(
        filled.elapsed() > 4900 * MS,
        "two rounds in which some wait, and the hold time"
    );
    assert_eq!(server.get("/readyz").await.status, 200);
    assert_eq!(server.gauge("readiness").await["transitions"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_that_are_all_busy_are_no_reason_to_be_not_ready() {
    let server = start("--pool-threads 2 --readiness-hold 200ms");
    let predictions = server.clients(2, &Request::post("/predict?work=2s", ""));
    all(predictions).await;
    assert_eq!(server.gauge("readiness").await["transitions"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_takes_its_prediction_out_of_the_queue() {
    let server = start("--pool-threads 1 --queue 8");
    let clients = server.clients(9, &Request::post("/predict?work=4s", ""));
    server.until("bulkhead", |it| it["queued"] == 8).await;
    for client in &clients {
        client.abort();
    }
    let bulkhead = server.until("bulkhead", |it| it["queued"] == 0).await;
    assert_eq!(
        (&bulkhead["busy"], &bulkhead["completed"]),
        (&1.into(), &0.into())
    );
    assert_eq!(
        server.get("/livez").await.json()["pending"],
        1,
        "the one that runs"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn predictions_that_make_no_progress_at_all_are_a_reason_to_be_killed() {
    let server = start("--pool-threads 1");
    let stuck = server.clients(1, &Request::post("/predict?work=2s", ""));
    server.until("bulkhead", |it| it["busy"] == 1).await;
    assert_eq!(server.get("/livez").await.status, 200);
    tokio::time::sleep(300 * MS).await;
    assert_eq!(server.get("/livez?recent=100ms").await.status, 500);
    all(stuck).await;
    assert_eq!(
        server.get("/livez?recent=1ms").await.status,
        200,
        "it is idle"
    );
}
