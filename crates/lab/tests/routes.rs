//! A closed loop of users on a route that leaves blocking background tasks behind, on both servers.

use crate::support;

use serde_json::Value;
use support::{Bench, stderr, stdout};

const ROUTE: &str = r#"
schema = 1
name = "route"
title = "One of the seven routes, for the tests"
seed = 3

[server]
pool_threads = 4
worker_threads = 1
args = ["--background-threads", "4", "--background-queue", "6"]

[load.requests.users]
path = "/async-route-async-inner-sync-bg-sync-task"
query = { inner = "20ms", background = "100ms" }
users = 20
users_per_second = 100
think = { min = "50ms", max = "150ms" }
timeout = "10s"

[probe]
rate = 100
timeout = "500ms"
endpoints = { health_sync = "/debug/health-sync", health_async = "/debug/health-async" }

[phases]
baseline = "1s"
hold = "2s"
recovery = "30s"

[[variant]]
name = "broken"
server = "server-broken"
model = "routes"

[[variant]]
name = "fixed"
server = "server-fixed"
model = "routes_cured"

[[cell]]
name = "only"

[[expect]]
variant = "broken"
that = [
    "diagnosis == blocking_pool_exhausted",
    "background.pending_end >= 100",
    "background.pending_later == 0",
    "background.refused == 0",
]

[[expect]]
variant = "fixed"
that = [
    "health_sync.unanswered == 0%",
    "background.pending_peak <= 10",
    "background.refused >= 100",
]

[[expect]]
variant = ["broken", "fixed"]
that = ["forecast.throughput.error <= 15%"]

[[field_report]]
variant = "broken"
metric = "background.pending_end"
reported = "1"

[[field_report]]
variant = "broken"
metric = "health_sync.unanswered"
reported = "100%"
"#;

#[test]
fn a_backlog_is_watched_until_it_is_drained_and_reports_are_judged_by_the_run() {
    let bench = Bench::new(ROUTE);
    let output = bench.measure(&["run", "short.toml"]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}\n{}", stderr(&output));

    let broken = read(&bench, "broken");
    let background = &broken["server"]["background"];
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{value}"));
    assert_eq!(background["drain_extrapolated"], false, "{background}");
    // 40 tasks a second end, so that the rest of a few hundred takes seconds; health was back before
    // the last of them was.
    let drain = number(&background["drain_us"]) / 1e6;
    let expected = number(&background["pending_end"]) / 40.0;
    assert!(
        (0.6..1.6).contains(&(drain / expected)),
        "{drain} s instead of {expected} s"
    );
    let recovery = number(&broken["phases"]["recovery"]["duration_us"]) / 1e6;
    assert!(recovery >= drain, "{recovery} s, {drain} s");

    let verdicts: Vec<_> = broken["claims"]
        .as_array()
        .expect("claims")
        .iter()
        .map(|claim| claim["verdict"].as_str().expect("a verdict"))
        .collect();
    assert_eq!(verdicts, ["disagrees", "agrees"], "{}", broken["claims"]);
    assert!(
        text.contains("field report background.pending_end 1: disagrees"),
        "{text}"
    );
    assert_eq!(read(&bench, "fixed")["claims"], serde_json::json!([]));

    the_matrix_has_a_row_for_it(&bench);
}

fn the_matrix_has_a_row_for_it(bench: &Bench) {
    let compare =
        |format: &str| stdout(&bench.run(&["compare", "--table", "matrix", "--format", format]));
    let text = compare("text");
    let too_wide: Vec<_> = text
        .lines()
        .filter(|line| line.chars().count() > 80)
        .collect();
    assert!(too_wide.is_empty(), "wider than a terminal: {too_wide:#?}");
    assert!(text.contains("blocking_pool_exhausted"), "{text}");
    let json: Value = serde_json::from_str(&compare("json")).expect("JSON");
    let rows = json["variants"][0]["rows"].as_array().expect("rows");
    assert_eq!(
        rows[0]["path"],
        "/async-route-async-inner-sync-bg-sync-task"
    );
    assert_eq!(
        json["claims"][0]["verdicts"],
        serde_json::json!(["disagrees"])
    );
}

/// The summary of the run of `variant`.
fn read(bench: &Bench, variant: &str) -> Value {
    let run = bench
        .runs()
        .into_iter()
        .find(|run| run.to_string_lossy().ends_with(variant));
    let path = run.expect("a run").join("summary.json");
    let text = std::fs::read_to_string(path).expect("a summary");
    serde_json::from_str(&text).expect("JSON")
}
