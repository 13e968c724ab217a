//! The event loop is blocked: the watchdog answers all the same.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get as on_get;
use prometheus_client::registry::Registry;
use vitals::{Vitals, VitalsSnapshot, Watchdog, metrics_routes};

use crate::support::*;
use testkit::Nobody;

const BLOCKED_FOR: Duration = Duration::from_secs(3);

#[expect(
    clippy::disallowed_methods,
    reason = "blocks the app's only worker, to be seen doing so"
)]
async fn block() {
    thread::sleep(BLOCKED_FOR);
}

fn metrics(app: &App) -> Router {
    let mut registry = Registry::default();
    app.vitals.register(&mut registry);
    metrics_routes(Arc::new(registry))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watchdog_answers_while_the_loop_is_blocked_and_shows_it() {
    let app = App::spawn(|_| Router::new().route("/block", on_get(block)));
    let watchdog = app.vitals.watchdog(loopback(), metrics(&app)).unwrap();
    let start = Instant::now();
    let blocking = tokio::spawn(get(app.addr, "/block"));
    tokio::time::sleep(Duration::from_millis(700)).await;

    let (status, body) = get(watchdog.addr(), "/vitals").await;
    let (_, text) = get(watchdog.addr(), "/metrics").await;
    assert!(
        start.elapsed() < BLOCKED_FOR,
        "answered only after the loop was free"
    );
    let snapshot: VitalsSnapshot = serde_json::from_str(&body).unwrap();
    assert_eq!((status, snapshot.workers), (200, 1));
    assert!(
        snapshot.event_loop.overdue > Duration::from_millis(300),
        "{snapshot:?}"
    );
    assert!(
        snapshot.tasks_alive >= 2,
        "the loop's ticker and a connection: {snapshot:?}"
    );
    let overdue = value(&text, "event_loop_overdue_seconds");
    assert!(overdue > 0.3, "{text}");

    let alive = tokio::time::timeout(Duration::from_millis(300), get(app.addr, "/livez"));
    assert!(
        alive.await.is_err(),
        "the app itself is blocked, or this test shows nothing"
    );
    blocking.await.unwrap();
    let recovered = async || app.vitals.snapshot().event_loop.max > BLOCKED_FOR / 2;
    eventually("the late tick is on record", recovered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_runtimes_the_blocked_one_is_shown() {
    let blocked = App::spawn(|_| Router::new().route("/block", on_get(block)));
    let free = App::idle();
    let both = free.vitals.clone().with_runtime(&blocked.runtime);
    let blocking = tokio::spawn(get(blocked.addr, "/block"));
    let overdue = |vitals: &Vitals| vitals.snapshot().event_loop.overdue;
    let limit = Duration::from_millis(500);
    eventually("the blocked loop is shown", async || overdue(&both) > limit).await;
    assert!(overdue(&free.vitals) < limit, "the other is not blocked");
    assert_eq!(both.snapshot().workers, 2);
    blocking.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_have_conventional_names_and_are_read_at_the_scrape() {
    let app = App::idle();
    let watchdog = Watchdog::spawn(loopback(), metrics(&app)).unwrap();
    let _holder = app.hold(6).await;
    let (status, text) = get(watchdog.addr(), "/metrics").await;
    assert_eq!(status, 200);
    for (series, expected) in [
        ("blocking_pool_threads{state=\"busy\"}", 4.0),
        ("blocking_pool_threads{state=\"idle\"}", 0.0),
        ("blocking_pool_capacity", 4.0),
        ("blocking_pool_queue_depth", 2.0),
        ("blocking_pool_jobs_completed_total", 0.0),
        ("tokio_workers", 1.0),
    ] {
        let measured = value(&text, series);
        assert!(
            (measured - expected).abs() < 0.5,
            "{series}: {measured}, not {expected}"
        );
    }
    for series in [
        "blocking_pool_oldest_wait_seconds",
        "blocking_pool_busy_seconds_total",
        "event_loop_lag_seconds",
        "event_loop_lag_max_seconds",
        "tokio_alive_tasks",
    ] {
        assert!(value(&text, series) >= 0.0, "{series}");
    }
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_watchdog_frees_its_port_with_a_connection_open() {
    let watchdog = Watchdog::spawn(loopback(), Router::new()).unwrap();
    let addr = watchdog.addr();
    let _idle = tokio::net::TcpStream::connect(addr).await.unwrap();
    drop(watchdog);
    // Held, so that nobody else can be there.
    let _nobody = Nobody::at(addr);
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_canary_asked_by_the_watchdog_goes_through_the_apps_pool() {
    let app = App::idle();
    let watchdog = Watchdog::spawn(loopback(), app.vitals.routes()).unwrap();
    let _holder = app.hold(4).await;
    assert_eq!(get(watchdog.addr(), "/health").await.0, 503);
}

fn value(text: &str, series: &str) -> f64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in {text}"))
        .parse()
        .unwrap()
}
