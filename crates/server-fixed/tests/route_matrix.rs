//! The seven routes, cured: nothing blocks the loop, and no backlog grows without end.

use crate::start;
use testkit::{Answer, MS, Request, all};

const ROUTES: [&str; 7] = [
    "/sync-route-sync-inner-async-bg-sync-task",
    "/sync-route-sync-inner-async-bg-async-task",
    "/sync-route-sync-inner-sync-bg-sync-task",
    "/async-route-sync-inner-async-bg-async-task",
    "/async-route-async-inner-async-bg-async-task",
    "/async-route-async-inner-async-bg-sync-task",
    "/async-route-async-inner-sync-bg-sync-task",
];

#[tokio::test(flavor = "multi_thread")]
async fn none_of_the_seven_blocks_the_loop_nor_holds_the_shared_pool() {
    let server = start("--pool-threads 4 --worker-threads 1");
    let clients: Vec<_> = ROUTES
        .iter()
        .flat_map(|path| {
            server.clients(1, &Request::get(&format!("{path}?inner=2s&background=4s")))
        })
        .collect();
    server.until("pool", |_| true).await;
    tokio::time::sleep(500 * MS).await;
    for path in ["/debug/health-async", "/debug/health-sync"] {
        let probe = server.get(path).await;
        assert!(probe.took < 1000 * MS, "inner work goes on: {probe:?}");
    }
    for answer in all(clients).await {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.has_header("x-background: accepted"), "{answer:?}");
    }
    let background = server.gauge("background").await;
    assert_eq!(background["pending"], 7, "{background}");
    for path in ["/debug/health-async", "/debug/health-sync"] {
        let probe = server.get(path).await;
        assert!(probe.took < 1000 * MS, "background tasks go on: {probe:?}");
    }
    server.until("background", |it| it["completed"] == 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn background_tasks_that_find_no_room_are_refused_and_the_response_does_not_wait() {
    let server = start("--background-threads 1 --background-queue 2 --background-tasks 3");
    for (round, path) in [ROUTES[6], ROUTES[4]].into_iter().enumerate() {
        let path = format!("{path}?inner=10ms&background=20s");
        let answers = all(server.clients(8, &Request::get(&path))).await;
        assert!(answers.iter().all(|answer| answer.status == 200));
        assert!(answers.iter().all(|answer| answer.took < 5000 * MS));
        let refused = |answer: &&Answer| answer.has_header("x-background: refused");
        assert_eq!(answers.iter().filter(refused).count(), 5, "{answers:?}");
        let background = server.gauge("background").await;
        assert_eq!(background["pending"], 3 * (round + 1), "{background}");
        assert_eq!(background["refused"], 5 * (round + 1), "{background}");
    }
    server.until("background", |it| it["running"] == 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_in_the_background_makes_no_request_wait() {
    let server = start("--pool-threads 1 --background-threads 1");
    let path = format!("{}?inner=10ms&background=20s", ROUTES[0]);
    for _ in 0..5 {
        let answer = server.get(&path).await;
        assert!(answer.took < 2000 * MS, "{answer:?}");
    }
    let background = server.until("background", |it| it["running"] == 1).await;
    assert_eq!(background["pending"], 5, "{background}");
}

#[tokio::test(flavor = "multi_thread")]
async fn inner_work_that_finds_no_room_is_a_503_and_leaves_no_background_task() {
    let server = start("--pool-threads 1 --queue 1");
    let clients = server.clients(
        4,
        &Request::get(&format!("{}?inner=2s&background=20s", ROUTES[3])),
    );
    let answers = all(clients).await;
    let (served, refused): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == 200);
    assert_eq!((served.len(), refused.len()), (2, 2));
    assert!(
        refused
            .iter()
            .all(|answer| answer.status == 503 && answer.took < 1500 * MS)
    );
    assert_eq!(server.gauge("background").await["pending"], 2);
}
