//! A rollout with real servers: health recovers at the step that the seed's keys say, and at no other.

use crate::support;

use serde_json::Value;
use support::{Bench, stderr, stdout};

/// The published scenario with these steps, its load and its expectations on the first cell alone.
fn scenario(seed: u64, steps: &[u8], expectations: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/rollout.toml");
    let text = std::fs::read_to_string(path).expect("the scenario");
    let (head, _) = text
        .split_once("[quick]")
        .expect("what comes before the short form");
    let steps: Vec<_> = steps
        .iter()
        .map(|percent| {
            format!("{{ name = \"at-{percent}\", action = \"PUT /rollout?percentage={percent}\" }}")
        })
        .collect();
    let head = head
        .replace("seed = 5", &format!("seed = {seed}"))
        .replace("timeout = \"2s\"", "timeout = \"1s\"")
        .replace("hold = \"10s\"", "hold = \"2s\"")
        .replace("baseline = \"4s\"", "baseline = \"2s\"");
    format!(
        r#"{head}
[[variant]]
name = "broken"
server = "server-broken"
model = "rollout"

[[cell]]
name = "only"
server.pool_threads = 4
load.streams.count = 40
steps = [{}]

[[expect]]
variant = "broken"
that = [{expectations}]
"#,
        steps.join(", ")
    )
}

fn forecast<'a>(summary: &'a Value, name: &str) -> &'a Value {
    let rows = summary["forecast"].as_array().expect("a forecast");
    let row = rows.iter().find(|row| row["name"] == name);
    row.unwrap_or_else(|| panic!("no {name} in {rows:?}"))
}

/// With seed 6, four of forty sessions are left on the blocking path at 86 %, and three at 87 %.
#[test]
fn health_recovers_at_the_step_that_the_keys_of_the_seed_say() {
    let held = r#""steps.at-86.health_sync.unanswered >= 90%", "steps.at-86.health_async.unanswered == 0%",
        "steps.at-87.health_sync.unanswered == 0%", "steps.at-87.health_sync.p99 <= 100ms",
        "steps.at-87.diagnosis == healthy""#;
    let bench = Bench::new(&scenario(6, &[86, 87], held));
    let output = bench.measure(&["run", "short.toml"]);
    let text = format!("{}\n{}", stdout(&output), stderr(&output));
    assert_eq!(output.status.code(), Some(0), "{text}");
    let summary = bench.summary("only").expect("saved");
    let remark = &forecast(&summary, "at-86.health_sync_unanswered")["formula"];
    let remark = remark.as_str().expect("text");
    assert!(remark.contains("86 % cannot show recovery"), "{remark}");
    for (step, blocking) in [("at-86", 4), ("at-87", 3)] {
        for (row, count) in [
            ("async", 40 - blocking),
            ("blocking", blocking),
            ("unserved", 0),
        ] {
            let row = forecast(&summary, &format!("{step}.{row}"));
            assert_eq!(row["predicted"], f64::from(count), "{step} {row}");
            assert_eq!(
                row["measured"],
                f64::from(count),
                "the server agrees: {row}"
            );
        }
    }
    let steps = summary["steps"].as_array().expect("steps");
    assert_eq!(steps[0]["diagnosis"]["kind"], "blocking_pool_exhausted");
    assert_eq!(steps[0]["action"]["request"], "PUT /rollout?percentage=86");
    for cohort in ["async", "blocking"] {
        let cohort = &steps[1]["load"]["streams"]["cohorts"][cohort];
        assert!(
            cohort["ttft_us"]["p50"].as_u64() < Some(1_000_000),
            "{cohort}"
        );
    }
}

/// What would hold on the other side of the knee fails on this one; and whoever got no answer is in the
/// cohort of its key, with a TTFT that is a bound.
#[test]
fn an_early_step_shows_nothing_and_leaves_out_nobody() {
    let bench = Bench::new(&scenario(
        6,
        &[20],
        "\"steps.at-20.health_sync.unanswered == 0%\"",
    ));
    let output = bench.measure(&["run", "short.toml"]);
    let text = format!("{}\n{}", stdout(&output), stderr(&output));
    assert_eq!(output.status.code(), Some(1), "{text}");
    let summary = bench.summary("only").expect("saved");
    let streams = &summary["steps"][0]["load"]["streams"];
    let blocking = &streams["cohorts"]["blocking"];
    assert_eq!(blocking["started"], 36, "{streams}");
    assert_eq!(blocking["unserved"], 32, "{streams}");
    assert_eq!(blocking["ttft_us"]["p50_censored"], true, "{streams}");
    let healthy = &streams["cohorts"]["async"];
    assert_eq!(
        (&healthy["started"], &healthy["unserved"]),
        (&4.into(), &0.into())
    );
    assert!(
        healthy["ttft_us"]["max"].as_u64() < Some(2_000_000),
        "{streams}"
    );
}

#[test]
fn a_percentage_that_is_none_ends_the_run_and_says_why() {
    let text = scenario(6, &[20], "").replace("percentage=20", "percentage=120");
    let bench = Bench::new(&text);
    let output = bench.run(&["run", "short.toml"]);
    assert_eq!(output.status.code(), Some(4));
    let text = stdout(&output);
    assert!(text.contains("`120` is no percentage"), "{text}");
}
