//! The pool is full: who waits, who does not, and what is reported.

use std::time::{Duration, Instant};

use axum::Router;
use vitals::{DEGRADED_ABOVE, DebugHealth, Health, HealthReport};

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn eight_jobs_on_four_threads_leave_four_waiting_ever_longer() {
    let app = App::idle();
    let holder = app.hold(8).await;
    let before = app.pool();
    assert_eq!((before.capacity, before.busy, before.queued), (4, 4, 4));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let after = app.pool();
    assert_eq!((after.busy, after.queued), (4, 4));
    let grown = after.oldest_wait - before.oldest_wait;
    assert!(grown >= Duration::from_millis(200), "{before:?} {after:?}");
    let held = after.busy_total - before.busy_total;
    assert!(
        held >= Duration::from_millis(800),
        "four threads for 200 ms: {held:?}"
    );

    drop(holder);
    eventually("all done", async || app.pool().completed == 8).await;
    let end = app.pool();
    assert_eq!(
        (end.busy, end.queued, end.oldest_wait),
        (0, 0, Duration::ZERO)
    );
    assert_eq!((end.busy_peak, end.queued_peak >= 4), (4, true));
    assert!(end.oldest_wait_peak >= after.oldest_wait, "{end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_outlives_the_client_that_asked_for_it() {
    let app = App::idle();
    let holder = app.hold(4).await;
    let asked = tokio::spawn(get(app.addr, "/debug/health-sync"));
    eventually("it has a place", async || app.pool().queued == 1).await;
    asked.abort();
    let hung_up = asked.await.expect_err("not answered, as the pool is full");
    assert!(hung_up.is_cancelled(), "{hung_up}");
    // Time for the server to notice, and to give the place up if it did so.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(app.pool().queued, 1, "its client is gone, its place is not");
    drop(holder);
    eventually("run all the same", async || app.pool().completed == 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sync_check_waits_without_a_limit_and_the_others_do_not() {
    let app = App::idle();
    let holder = app.hold(4).await;
    let sync = tokio::spawn(get(app.addr, "/debug/health-sync"));
    for path in ["/debug/health-async", "/livez"] {
        let answer = tokio::time::timeout(SOON, get(app.addr, path))
            .await
            .unwrap();
        assert_eq!(answer.0, 200, "{path}");
    }
    tokio::time::sleep(CANARY_TIMEOUT * 2).await;
    assert!(
        !sync.is_finished(),
        "twice the canary's timeout, and still no thread"
    );
    drop(holder);
    let (status, body) = sync.await.unwrap();
    let health: DebugHealth = serde_json::from_str(&body).unwrap();
    assert_eq!((status, health.status.as_str()), (200, "ok"));
    assert!(health.wait >= CANARY_TIMEOUT, "{health:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_turns_unhealthy_while_the_pool_is_full_and_recovers() {
    let app = App::idle();
    let health = async || {
        let (status, body) = get(app.addr, "/health").await;
        (status, serde_json::from_str::<HealthReport>(&body).unwrap())
    };
    let (status, report) = health().await;
    assert_eq!(
        (status, report.status, report.warning),
        (200, Health::Healthy, None)
    );

    let holder = app.hold(4).await;
    let (status, report) = health().await;
    assert_eq!((status, report.status), (503, Health::Unhealthy));
    assert!(report.wait >= CANARY_TIMEOUT, "{report:?}");
    assert!(report.warning.unwrap().contains("4 of 4 threads busy"));
    // One that is busy with other things may be late now and then, and not each time.
    let mut soonest = Duration::MAX;
    for _ in 0..10 {
        let asked = Instant::now();
        let (_, later) = health().await;
        assert!(later.wait > report.wait, "the same canary, older");
        soonest = soonest.min(asked.elapsed());
    }
    assert!(
        soonest < CANARY_TIMEOUT / 2,
        "overdue already: answered at once, not after {soonest:?}"
    );

    drop(holder);
    eventually("drained", async || {
        app.pool().queued == 0 && app.pool().busy == 0
    })
    .await;
    let (status, report) = health().await;
    assert_eq!(
        (status, report.status),
        (200, Health::Healthy),
        "{report:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_waits_a_while_is_degraded_and_still_200() {
    // However late this test is in letting go, the canary comes back in time.
    let app = App::spawn(|vitals| {
        let patient = vitals.clone().with_canary_timeout(Duration::from_secs(60));
        Router::new().nest("/patient", patient.health_routes())
    });
    let holder = app.hold(4).await;
    let asked = tokio::spawn(get(app.addr, "/patient/health"));
    let is_late = async || app.pool().oldest_wait > 2 * DEGRADED_ABOVE;
    eventually("it waits", is_late).await;
    drop(holder);
    let (status, body) = asked.await.unwrap();
    let report: HealthReport = serde_json::from_str(&body).unwrap();
    assert_eq!((status, report.status), (200, Health::Degraded), "{body}");
    assert!(body.contains("\"warning\":"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_health_checks_at_once_queue_one_canary() {
    let app = App::idle();
    let _holder = app.hold(4).await;
    let checks: Vec<_> = (0..100)
        .map(|_| tokio::spawn(get(app.addr, "/health")))
        .collect();
    for check in checks {
        assert_eq!(check.await.unwrap().0, 503);
    }
    assert_eq!(
        app.pool().queued,
        1,
        "the probes must not fill the queue they measure"
    );
    assert_eq!(get(app.addr, "/health").await.0, 503);
    assert_eq!(
        app.pool().queued,
        1,
        "a canary that timed out is still the one that waits"
    );
}
