//! Scenarios in their short form, for real: what is broken fails as it should, what is fixed does not,
//! and every expectation is one that can fail. `make scenarios` does the same for all of them; as
//! they take long, they are run on request here (`--run-ignored`). What becomes of an invalid cell is not.

use crate::support;

use support::{Bench, SHORT, stderr, stdout};

fn scenario(name: &str) -> String {
    format!("{}/../../scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR"))
}

fn holds_and_can_fail(name: &str) {
    let bench = Bench::new(SHORT);
    let output = bench.run(&["scenarios", &scenario(name)]);
    let table = stdout(&output);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{table}\n{}",
        stderr(&output)
    );
    assert!(table.contains("Every expectation held."), "{table}");
    assert!(!table.contains("no run here fails it"), "{table}");
}

#[test]
#[ignore = "takes 90 seconds; make scenarios runs the same"]
fn liveness_kills_the_broken_server_and_spares_the_fixed_one() {
    holds_and_can_fail("liveness");
}

#[test]
#[ignore = "takes two minutes; make scenarios runs the same"]
fn disconnect_leaves_upstreams_open_for_nobody_unless_it_is_fixed() {
    holds_and_can_fail("disconnect");
}

#[test]
#[ignore = "takes two minutes; make scenarios runs the same"]
fn large_bodies_stall_the_worker_that_parses_them() {
    holds_and_can_fail("large-body");
}

#[test]
fn an_invalid_cell_is_measured_again_and_what_it_measured_is_kept() {
    // A route that is not there fails in the baseline already: nothing can be learnt from such a run.
    let text = SHORT
        .replace("/debug/health-async", "/no-such-route")
        .replace("name = \"only\"", "name = \"only\"\nquick = true")
        .replace("hold = \"2s\"", "hold = \"1s\"")
        .replace("recovery = \"10s\"", "recovery = \"2s\"")
        .replace("count = 20", "count = 2");
    let bench = Bench::new(&text);
    let output = bench.run(&["scenarios", "short.toml", "--retries", "1"]);
    assert_eq!(output.status.code(), Some(3), "{}", stdout(&output));
    for run in bench.runs() {
        let summary = run.join("cells/only/summary.json");
        let text = std::fs::read_to_string(&summary).expect("the last attempt");
        let summary: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let remarks = summary["quality"]["remarks"].to_string();
        assert!(remarks.contains("measured again"), "{remarks}");
        let first = run.join("discarded/only.1");
        assert!(first.join("latency.hlog").is_file());
        assert!(!run.join("discarded/only.2").exists());
    }
    assert_eq!(bench.runs().len(), 2);
}
