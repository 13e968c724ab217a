//! What becomes of an invalid cell. Scenarios in their short form, for real, are what `make verify` runs.

use crate::support;

use support::{Bench, SHORT, stdout};

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
