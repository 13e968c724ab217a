//! The pool is full of work that nobody counts: a library that calls Tokio's own `spawn_blocking`.

use std::sync::mpsc;
use std::time::Duration;

use axum::Router;
use prometheus_client::registry::Registry;
use vitals::{Health, HealthReport};

use crate::support::*;

/// Holds every thread of the app's pool, past its counters.
fn hold_all(app: &App) -> Vec<mpsc::Sender<()>> {
    let hold = |_| {
        let (sender, released) = mpsc::channel::<()>();
        drop(app.runtime.spawn_blocking(move || released.recv()));
        sender
    };
    (0..THREADS).map(hold).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_that_threads_are_taken_which_it_does_not_count() {
    let app = App::idle();
    let held = hold_all(&app);
    let (status, body) = get(app.addr, "/health").await;
    let report: HealthReport = serde_json::from_str(&body).unwrap();
    assert_eq!((status, report.status), (503, Health::Unhealthy), "{body}");
    let warning = report.warning.unwrap();
    assert!(
        warning.contains("0 of 4 threads busy, 1 queued, 4 taken by work that is not counted"),
        "{warning}"
    );
    drop(held);
    eventually("drained", async || app.pool().queued == 0).await;
    assert_eq!(get(app.addr, "/health").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watchdog_notices_it_though_nobody_asks() {
    let app = App::idle();
    let _watchdog = app.vitals.watchdog(loopback(), Router::new()).unwrap();
    let _held = hold_all(&app);
    let status = || app.vitals.snapshot().canary.map(|canary| canary.status);
    eventually("seen", async || status() == Some(Health::Unhealthy)).await;
    assert_eq!(app.pool().uncounted(), THREADS);
    assert_eq!(app.pool().queued, 1, "one canary, however long it takes");
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_turns_after_a_while_of_it_and_back_and_liveness_never_does() {
    let app = App::idle();
    assert_eq!(get(app.addr, "/readyz").await.0, 200);
    let held = hold_all(&app);
    let waiting = tokio::spawn(get(app.addr, "/debug/health-sync"));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(get(app.addr, "/readyz").await.0, 200, "not at once");
    until_readyz_is(&app, 503).await;
    assert_eq!(get(app.addr, "/livez").await.0, 200);
    let mut registry = Registry::default();
    app.vitals.readyz_watch().register(&mut registry);
    let mut metrics = String::new();
    prometheus_client::encoding::text::encode(&mut metrics, &registry).unwrap();
    assert!(metrics.contains("\nreadiness_ready 0\n"), "{metrics}");
    drop(held);
    until_readyz_is(&app, 200).await;
    assert_eq!(waiting.await.unwrap().0, 200);
}

async fn until_readyz_is(app: &App, wanted: u16) {
    let asking = async {
        while get(app.addr, "/readyz").await.0 != wanted {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(SOON, asking).await.expect("in time");
}
