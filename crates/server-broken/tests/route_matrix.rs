//! The seven routes: what each leaves behind, and who waits for it.

use crate::support::server::*;

const POOL_POOL: &str = "/sync-route-sync-inner-async-bg-sync-task";
const POOL_NOTHING: &str = "/sync-route-sync-inner-async-bg-async-task";
const LOOP_NOTHING: &str = "/async-route-sync-inner-async-bg-async-task";
const NOTHING_NOTHING: &str = "/async-route-async-inner-async-bg-async-task";
const NOTHING_LOOP: &str = "/async-route-async-inner-async-bg-sync-task";
const NOTHING_POOL: &str = "/async-route-async-inner-sync-bg-sync-task";

#[tokio::test(flavor = "multi_thread")]
async fn each_of_the_seven_answers_before_its_background_task_ends() {
    let server = Server::start("--pool-threads 8 --worker-threads 1");
    for path in [
        POOL_POOL,
        POOL_NOTHING,
        "/sync-route-sync-inner-sync-bg-sync-task",
        LOOP_NOTHING,
        NOTHING_NOTHING,
        NOTHING_POOL,
        // The last, because the loop is blocked once it has answered.
        NOTHING_LOOP,
    ] {
        let answer = server
            .get(&format!("{path}?inner=50ms&background=5s"))
            .await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert!(answer.has_header("x-background: accepted"), "{answer:?}");
        assert!(answer.json()["inner_us"].as_u64() >= Some(50_000));
        assert!(answer.took < 4000 * MS, "{path}: {answer:?}");
    }
    let background = server.gauge("background").await;
    assert_eq!(background["pending"], 7, "{background}");
    assert_eq!(background["refused"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_blocks_the_loop_is_pending_on_the_watchdog_while_nothing_else_answers() {
    let server = Server::start("--worker-threads 1");
    server
        .get(&format!("{NOTHING_LOOP}?inner=10ms&background=4s"))
        .await;
    let overdue = |lag: &serde_json::Value| lag["overdue_us"].as_u64() > Some(300_000);
    server.until("event_loop", overdue).await;
    let background = server.gauge("background").await;
    assert_eq!(
        (&background["pending"], &background["running"]),
        (&1.into(), &1.into())
    );
    let health = server.get("/debug/health-async").await;
    assert!(health.took > 500 * MS, "the loop is blocked: {health:?}");
    let background = server.until("background", |it| it["pending"] == 0).await;
    assert_eq!(background["completed"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn inner_work_that_blocks_the_loop_hides_no_pending_task() {
    let server = Server::start("--worker-threads 1");
    for _ in 0..3 {
        server
            .get(&format!("{LOOP_NOTHING}?inner=10ms&background=60s"))
            .await;
    }
    let slow = server.clients(1, "GET", &format!("{LOOP_NOTHING}?inner=4s"));
    let overdue = |lag: &serde_json::Value| lag["overdue_us"].as_u64() > Some(300_000);
    server.until("event_loop", overdue).await;
    let background = server.gauge("background").await;
    assert_eq!(background["pending"], 3, "{background}");
    assert!(
        !slow[0].is_finished(),
        "it blocks, or this test shows nothing"
    );
    all(slow).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn background_tasks_on_the_shared_pool_keep_the_next_request_waiting() {
    let server = Server::start("--pool-threads 2");
    let path = format!("{POOL_POOL}?inner=10ms&background=2s");
    for _ in 0..2 {
        assert!(server.get(&path).await.took < 1500 * MS);
    }
    let background = server.gauge("background").await;
    assert_eq!(
        (&background["pending"], &background["running"]),
        (&2.into(), &2.into())
    );
    let third = server.get(&path).await;
    assert!(third.took > 700 * MS, "both threads are taken: {third:?}");
    assert!(
        third.json()["inner_us"].as_u64() > Some(700_000),
        "{third:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_async_route_answers_at_once_and_leaves_a_backlog_that_nothing_bounds() {
    let server = Server::start("--pool-threads 2");
    let path = format!("{NOTHING_POOL}?inner=10ms&background=20s");
    for answer in all(server.clients(50, "GET", &path)).await {
        assert!(answer.took < 5000 * MS, "{answer:?}");
        assert!(answer.has_header("x-background: accepted"));
    }
    let background = server.until("background", |it| it["running"] == 2).await;
    assert_eq!(background["pending"], 50);
    server.until("pool", |pool| pool["queued"] == 48).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn async_background_tasks_hold_no_thread() {
    let server = Server::start("--pool-threads 2");
    for path in [POOL_NOTHING, NOTHING_NOTHING] {
        all(server.clients(10, "GET", &format!("{path}?inner=10ms&background=20s"))).await;
    }
    assert_eq!(server.gauge("background").await["running"], 20);
    let pool = server.gauge("pool").await;
    assert_eq!((&pool["busy"], &pool["queued"]), (&0.into(), &0.into()));
}
