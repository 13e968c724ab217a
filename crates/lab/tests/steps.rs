//! Steps: several loads one after the other in the same processes.

use crate::support::{Bench, SHORT, stderr, stdout};
use serde_json::Value;
use testkit::schema_errors;

/// Few streams, many, few again; the pool has four threads.
fn stepped() -> String {
    let steps = r#"
[[cell]]
name = "only"
load.streams = { headers = { x-user = "user-{n}" }, cohort_header = "content-type" }
steps = [
    { name = "few", streams = 2 },
    { name = "many", streams = 20, action = "POST /predict?work=1ms" },
    { name = "few-again", streams = 3 },
]

[[expect]]
variant = "broken"
that = [
    "steps.few.health_sync.unanswered == 0%",
    "steps.few.streams.receiving_peak == 2",
    "steps.many.health_sync.unanswered >= 90%",
    "steps.many.streams.served_peak == pool_threads",
    "steps.many.diagnosis == blocking_pool_exhausted",
    "steps.few-again.health_sync.unanswered == 0%",
    "steps.few-again.streams.receiving_peak == 3",
]
"#;
    SHORT.replace("[[cell]]\nname = \"only\"\n", steps).replace(
        "\"streams.served_peak == pool_threads\", \"diagnosis == blocking_pool_exhausted\"",
        "\"streams.lost == 0\"",
    )
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn each_step_is_measured_by_itself_and_health_is_back_before_the_next() {
    let bench = Bench::new(&stepped());
    let output = bench.measure(&["run", "short.toml", "--variant", "broken"]);
    let text = format!("{}\n{}", stdout(&output), stderr(&output));
    assert_eq!(output.status.code(), Some(0), "{text}");
    let summary = bench.summary("only").expect("saved");
    let steps = summary["steps"].as_array().expect("steps");
    assert_eq!(steps.len(), 3);
    assert_eq!(steps[1]["action"]["request"], "POST /predict?work=1ms");
    for (step, streams) in steps.iter().zip([2, 20, 3]) {
        let load = &step["load"];
        assert_eq!(load["streams"]["started"], streams);
        let cohort = &load["streams"]["cohorts"]["text/event-stream"];
        assert_eq!(number(&cohort["started"]), streams.min(4), "{step}");
        let probe = &load["probes"]["health_sync"];
        let outcomes = [
            "ok",
            "timeout",
            "bad_status",
            "connect_failure",
            "aborted",
            "not_sent",
        ];
        let sum: u64 = outcomes.iter().map(|name| number(&probe[name])).sum();
        assert_eq!(sum, number(&probe["due"]));
        assert!(step["recovery"]["time_to_recover_us"].is_u64(), "{step}");
        assert_eq!(step["quality"]["valid"], true, "{step}");
    }
    let errors = schema_errors(&bench.schema(), &summary);
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn a_step_whose_action_fails_ends_the_run_and_says_why() {
    let text = stepped().replace("POST /predict?work=1ms", "PUT /no-such-route");
    let bench = Bench::new(&text);
    let output = bench.run(&["run", "short.toml", "--variant", "fixed"]);
    assert_eq!(output.status.code(), Some(4));
    let text = stdout(&output);
    assert!(text.contains("PUT /no-such-route failed: 404"), "{text}");
}
