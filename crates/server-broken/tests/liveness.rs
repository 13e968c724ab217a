//! Full of predictions, in each of the broken ways.

use crate::start;
use testkit::{MS, Request, all};

const VARIANTS: [&str; 4] = [
    "",
    "--variant inline",
    "--variant dedicated",
    "--variant dedicated-pool",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_just_started_is_alive_in_every_variant() {
    for flags in VARIANTS {
        let answer = start(flags).get("/livez").await;
        assert_eq!(answer.status, 200, "{flags}: {answer:?}");
        assert_eq!(answer.json()["progress_us"], serde_json::Value::Null);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_shared_pool_the_probe_waits_behind_the_predictions() {
    let server = start("--pool-threads 2");
    let predictions = server.clients(6, &Request::post("/predict?work=2s", ""));
    server.until("pool", |pool| pool["queued"] == 4).await;
    let loop_answers = server.get("/debug/health-async").await;
    let probe = server.get("/livez").await;
    assert!(loop_answers.took < 1000 * MS, "the loop is free");
    assert!(probe.took > 2500 * MS, "two rounds and more: {probe:?}");
    assert_eq!(probe.status, 200, "it was alive all the time: {probe:?}");

    let predictions = all(predictions).await;
    assert!(predictions.iter().all(|answer| answer.status == 200));
    let longest = predictions
        .iter()
        .map(|answer| answer.json()["wait_us"].as_u64());
    assert!(longest.max().flatten() > Some(2_500_000), "{predictions:?}");
    assert!(
        server.get("/livez").await.took < 1000 * MS,
        "it is idle again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn inline_the_loop_is_blocked_and_the_watchdog_shows_it() {
    let server = start("--variant inline --worker-threads 1");
    let prediction = server.clients(1, &Request::post("/predict?work=3s", ""));
    let overdue = |lag: &serde_json::Value| lag["overdue_us"].as_u64() > Some(300_000);
    server.until("event_loop", overdue).await;
    let probe = server.get("/livez").await;
    assert!(probe.took > 500 * MS, "{probe:?}");
    assert_eq!(all(prediction).await[0].status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dedicated_thread_saves_the_probe_and_its_queue_grows_though_clients_leave() {
    let server = start("--variant dedicated --pool-threads 40");
    let clients = server.clients(30, &Request::post("/predict?work=10s", ""));
    let bulkhead = server.until("bulkhead", |it| it["queued"] == 29).await;
    assert_eq!(bulkhead["queue_limit"], serde_json::Value::Null);
    assert_eq!(
        (&bulkhead["capacity"], &bulkhead["busy"]),
        (&1.into(), &1.into())
    );
    for client in clients {
        client.abort();
    }
    // Clients that left are noticed at once where they are noticed at all.
    tokio::time::sleep(300 * MS).await;
    let left = server.gauge("bulkhead").await["queued"].as_u64();
    assert!(left > Some(20), "{left:?}");
    let probe = server.get("/livez").await;
    assert!(probe.status == 200 && probe.took < 1000 * MS, "{probe:?}");
    let stuck = server.get("/livez?recent=1ms").await;
    assert_eq!(
        stuck.status, 500,
        "no prediction in the last millisecond: {stuck:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dedicated_pool_has_the_threads_of_the_flag_and_a_queue_that_refuses_nobody() {
    let server = start("--variant dedicated-pool --pool-threads 3");
    let _clients = server.clients(30, &Request::post("/predict?work=10s", ""));
    let pool = server.until("bulkhead", |it| it["queued"] == 27).await;
    assert_eq!((&pool["capacity"], &pool["busy"]), (&3.into(), &3.into()));
    assert_eq!(pool["refused"], 0);
    for path in ["/livez", "/debug/health-sync"] {
        let probe = server.get(path).await;
        assert!(probe.status == 200 && probe.took < 1000 * MS, "{probe:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn being_asked_whether_it_is_ready_makes_a_prediction() {
    for flags in VARIANTS {
        let answer = start(flags).get("/readyz?work=400ms").await;
        assert_eq!(answer.status, 200, "{flags}: {answer:?}");
        assert!(answer.has_header("content-type: application/json"));
        assert!(
            answer.json()["work_us"].as_u64() >= Some(400_000),
            "{flags}: {answer:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_holds_a_thread_for_longer_than_a_minute() {
    let server = start("");
    for query in ["work=61s", "work=1"] {
        let path = format!("/predict?{query}");
        let answers = all(server.clients(1, &Request::post(&path, ""))).await;
        assert_eq!(answers[0].status, 400, "{answers:?}");
    }
}
