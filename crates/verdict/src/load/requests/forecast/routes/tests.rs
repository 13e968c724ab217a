use super::*;
use crate::forecast::Model;
use crate::load::model;
use crate::summary::Bound;

/// Users on a route: inner work 200 ms, background task 10 s, 40 threads, think time 100 to 500 ms.
fn cell(path: &str, users: u32, per_second: u32, load: f64) -> Cell {
    let hold_us = (load - f64::from(users - 1) / f64::from(per_second)) * 1e6;
    let text = format!(
        r#"
        name = "cell"
        server = {{ pool_threads = 40, worker_threads = 1 }}
        probe = {{ rate = 25, timeout = "2s", endpoints = {{ health_sync = "/s", health_async = "/a" }} }}
        phases = {{ baseline = "4s", hold = "{hold_us:.0}us", recovery = "60s" }}
        [load.requests.users]
        path = "/{path}"
        users = {users}
        users_per_second = {per_second}
        think = {{ min = "100ms", max = "500ms" }}
        timeout = "60s"
        "#
    );
    toml::from_str(&text).expect("a cell")
}

fn of(cell: &Cell, model: Model, seed: u64) -> Vec<Forecast> {
    model.forecast(Question {
        cell,
        seed,
        parse: None,
    })
}

fn routes() -> Model {
    model("routes").expect("known")
}

fn cured() -> Model {
    model("routes_cured").expect("known")
}

fn row_of<'a>(rows: &'a [Forecast], name: &str) -> &'a Forecast {
    rows.iter().find(|row| row.name == name).expect(name)
}

fn predicted(rows: &[Forecast], name: &str) -> f64 {
    row_of(rows, name).predicted
}

const SHARED: &str = "sync-route-sync-inner-async-bg-sync-task";
const ASYNC: &str = "async-route-async-inner-async-bg-async-task";
const BLOCKED_LOOP: &str = "async-route-sync-inner-async-bg-async-task";
const BLOCKING_TASK: &str = "async-route-async-inner-async-bg-sync-task";
const BACKLOG: &str = "async-route-async-inner-sync-bg-sync-task";

#[test]
fn fifteen_seconds_of_the_first_route_are_far_from_its_steady_state() {
    for seed in 0..10 {
        let rows = of(&cell(SHARED, 100, 20, 15.0), routes(), seed);
        let throughput = row_of(&rows, "throughput");
        // Another simulation and a measurement give 10.7 to 10.8. The seeds make the spread.
        assert!(
            (throughput.predicted / 10.75 - 1.0).abs() < 0.04,
            "{}",
            throughput.predicted
        );
        assert!((throughput.limit.expect("a limit") - 40.0 / 10.2).abs() < 1e-9);
    }
    // An hour is close to the steady state. Only the first seconds differ.
    let hour = of(&cell(SHARED, 100, 20, 3600.0), routes(), 1);
    assert!((predicted(&hour, "throughput") / (40.0 / 10.2) - 1.0).abs() < 0.03);
}

#[test]
fn an_async_route_follows_the_closed_formula() {
    let rows = of(&cell(ASYNC, 10, 10_000, 600.0), routes(), 1);
    let throughput = predicted(&rows, "throughput");
    assert!(
        (throughput / (10.0 / 0.5) - 1.0).abs() < 0.02,
        "{throughput}"
    );
    assert!((predicted(&rows, "response_p50") - 202_000.0).abs() < 3_000.0);
    // 20 a second, each pending for 10 s.
    assert!((predicted(&rows, "pending_end") - 200.0).abs() < 10.0);
    assert_eq!(row_of(&rows, "health_async_p99").bound, Bound::AtMost);
}

#[test]
fn a_blocked_loop_gives_one_answer_at_a_time_and_blocks_both_health_checks() {
    let rows = of(&cell(BLOCKED_LOOP, 100, 20, 600.0), routes(), 1);
    assert!((predicted(&rows, "throughput") - 5.0).abs() < 0.1);
    // R = N/X − Z.
    assert!((predicted(&rows, "response_mean") - 19.7e6).abs() < 1e6);
    assert_eq!(predicted(&rows, "health_async_unanswered"), 100.0);
    assert_eq!(predicted(&rows, "health_sync_unanswered"), 100.0);
    // A batch of 61 blocks for 12 s, so tasks of 10 s end late. Handlers whose client has left do not
    // run.
    let rows = of(&cell(BLOCKED_LOOP, 100, 20, 30.0), routes(), 1);
    assert!((75.0..=125.0).contains(&predicted(&rows, "pending_end")));
    assert!(predicted(&rows, "drain") < 12e6);
}

#[test]
fn a_backlog_grows_unseen_and_drains_at_the_pace_of_the_pool() {
    let rows = of(&cell(BACKLOG, 100, 20, 30.0), routes(), 1);
    let (end, later) = (
        predicted(&rows, "pending_end"),
        predicted(&rows, "pending_later"),
    );
    assert!((predicted(&rows, "response_p50") - 203_000.0).abs() < 5_000.0);
    assert!((5_000.0..6_000.0).contains(&end), "{end}");
    // 4 tasks a second end, in waves of 40.
    assert!((end - later - 240.0).abs() <= 40.0, "{later}");
    let drain = predicted(&rows, "drain") / 1e6;
    assert!((drain / (end * 10.0 / 40.0) - 1.0).abs() < 0.02, "{drain}");
    assert_eq!(predicted(&rows, "health_sync_unanswered"), 100.0);
    assert_eq!(predicted(&rows, "health_async_unanswered"), 0.0);
}

#[test]
fn a_background_task_that_blocks_the_loop_leaves_a_handful_of_answers() {
    // Users whose inner work is under way when the first task begins are answered when it ends. Their
    // own tasks run before anybody else is read.
    let rows = of(&cell(BLOCKING_TASK, 100, 20, 30.0), routes(), 1);
    assert!((predicted(&rows, "throughput") - 5.0 / 30.0).abs() < 1e-6);
    assert_eq!(predicted(&rows, "health_async_unanswered"), 100.0);
    // Ten users are read between two blocks and start within some milliseconds of each other. It is
    // chance whose timers end first.
    let rows = of(&cell(BLOCKING_TASK, 10, 5, 30.0), routes(), 1);
    assert!(
        rows.iter().all(|row| row.name.starts_with("health_")),
        "{rows:?}"
    );
    assert!(predicted(&rows, "health_async_unanswered") > 80.0);
}

#[test]
fn bulkheads_keep_health_flat_and_the_backlog_bounded() {
    for path in [SHARED, ASYNC, BLOCKED_LOOP, BLOCKING_TASK, BACKLOG] {
        let rows = of(&cell(path, 100, 20, 30.0), cured(), 1);
        assert!(predicted(&rows, "throughput") > 170.0, "{path}");
        for name in ["health_sync_p99", "health_async_p99"] {
            assert_eq!(row_of(&rows, name).bound, Bound::AtMost, "{path}");
        }
    }
    let mut small = cell(BACKLOG, 100, 20, 30.0);
    small.server.args = ["--background-threads", "10", "--background-queue", "15"]
        .map(str::to_owned)
        .to_vec();
    let rows = of(&small, cured(), 1);
    assert_eq!(predicted(&rows, "pending_end"), 25.0);
    assert!(predicted(&rows, "refused") > 5_000.0);
}

#[test]
fn how_many_of_a_handful_wait_at_the_end_is_bounded_and_not_forecast() {
    // At most ten users wait, of some 150 requests: 6.7 %. One user more or less changes that by a tenth.
    let rows = of(&cell(BLOCKED_LOOP, 10, 5, 30.0), routes(), 1);
    let few = row_of(&rows, "unanswered");
    assert_eq!(few.bound, Bound::AtMost);
    assert!((6.0..7.5).contains(&few.predicted), "{}", few.predicted);
    let rows = of(&cell(BLOCKED_LOOP, 100, 20, 30.0), routes(), 1);
    assert_eq!(row_of(&rows, "unanswered").bound, Bound::Exact);
}

#[test]
fn the_same_seed_makes_the_same_forecast() {
    let cell = cell(SHARED, 40, 10, 30.0);
    let throughput = |seed| predicted(&of(&cell, routes(), seed), "response_mean");
    assert_eq!(throughput(3), throughput(3));
    assert_ne!(throughput(3), throughput(4));
}

#[test]
fn there_is_no_forecast_for_another_path_for_several_loops_or_for_two_loads_at_once() {
    let other = cell("livez", 10, 10, 10.0);
    assert!(of(&other, routes(), 1).is_empty());
    let mut several_loops = cell(BLOCKED_LOOP, 10, 10, 10.0);
    several_loops.server.worker_threads = Some(2);
    assert!(of(&several_loops, routes(), 1).is_empty());
    assert!(!of(&several_loops, cured(), 1).is_empty());
    let mut two = cell(ASYNC, 10, 10, 10.0);
    let class = two.load.requests["users"].clone();
    two.load.requests.insert("more".to_owned(), class);
    assert!(of(&two, routes(), 1).is_empty());
}
