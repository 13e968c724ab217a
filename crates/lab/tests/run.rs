//! A whole run, as a user makes it.

use crate::support;

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use serde_json::Value;
use support::{Bench, SHORT, stderr, stdout};
use testkit::schema_errors;

#[test]
fn both_variants_run_and_every_expectation_holds() {
    let bench = Bench::new(SHORT);
    let output = bench.measure(&["run", "short.toml"]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}\n{}",
        stdout(&output),
        stderr(&output)
    );
    assert!(
        stdout(&output).contains("Before the run"),
        "the forecast comes first"
    );

    let runs = bench.runs();
    assert_eq!(runs.len(), 2);
    for run in &runs {
        for file in ["scenario.toml", "index.json", "summary.json"] {
            assert!(run.join(file).is_file(), "{file}");
        }
        for file in [
            "summary.json",
            "latency.hlog",
            "timeline.csv",
            "server.log",
            "upstream.log",
        ] {
            assert!(
                run.join("cells/only").join(file).is_file(),
                "cells/only/{file}"
            );
        }
    }
    let broken = read(&runs[0]);
    assert_eq!(broken["variant"], "broken");
    assert_eq!(broken["phases"]["load"]["streams"]["served_peak"], 4);
    assert_eq!(broken["phases"]["load"]["streams"]["unserved"], 16);
    assert_eq!(broken["diagnosis"]["inferred_capacity"], 4);
    outcomes_sum_to_due(&broken);
    streams_sum_to_started(&broken);
    let fixed = read(&runs[1]);
    assert_eq!(fixed["phases"]["load"]["streams"]["served_peak"], 20);
    assert_eq!(fixed["phases"]["load"]["streams"]["sequence_errors"], 0);
    outcomes_sum_to_due(&fixed);
    // The load lasts until the last check of the hold is decided: a timeout later, or at once.
    let tail = |summary: &Value| number(&summary["phases"]["load"]["tail"]["duration_us"]);
    assert!(tail(&broken) > 900_000, "{}", tail(&broken));
    assert!(tail(&fixed) < 500_000, "{}", tail(&fixed));
    streams_sum_to_started(&fixed);

    validates(&bench, &broken);
    validates(&bench, &fixed);
    for run in &runs {
        the_interval_log_adds_up_to_the_summary(run);
    }
    every_format_compares(&bench);
}

#[test]
fn nothing_is_hard_wired_to_four_threads() {
    let bench = Bench::new(SHORT);
    let output = bench.measure(&[
        "run",
        "short.toml",
        "--variant",
        "broken",
        "--set",
        "server.pool_threads=10",
    ]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}\n{}",
        stdout(&output),
        stderr(&output)
    );
    let summary = bench.summary("only").expect("saved");
    assert_eq!(summary["phases"]["load"]["streams"]["served_peak"], 10);
    assert_eq!(summary["diagnosis"]["inferred_capacity"], 10);
}

#[test]
fn an_expectation_that_fails_is_named_and_gives_exit_code_1() {
    // The positive control: the broken server is expected to be fixed, and the reverse.
    let swapped = SHORT
        .replace("server = \"server-broken\"", "server = \"server-x\"")
        .replace("server = \"server-fixed\"", "server = \"server-broken\"")
        .replace("server = \"server-x\"", "server = \"server-fixed\"");
    let bench = Bench::new(&swapped);
    let output = bench.measure(&["run", "short.toml"]);
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}\n{}",
        stdout(&output),
        stderr(&output)
    );
    let text = stdout(&output);
    for line in [
        "FAILED streams.served_peak == pool_threads — measured 20",
        "FAILED diagnosis == blocking_pool_exhausted — measured healthy",
        "FAILED streams.served_peak == streams — measured 4",
        "FAILED health_sync.unanswered == 0%",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

fn read(run: &std::path::Path) -> Value {
    let text = std::fs::read_to_string(run.join("summary.json")).expect("summary");
    serde_json::from_str(&text).expect("JSON")
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

fn outcomes_sum_to_due(summary: &Value) {
    let phases = &summary["phases"];
    for phase in [
        &phases["baseline"],
        &phases["load"],
        &phases["load"]["ramp"],
        &phases["recovery"],
    ] {
        for (name, probe) in phase["probes"].as_object().expect("probes") {
            let outcomes = [
                "ok",
                "bad_status",
                "timeout",
                "connect_failure",
                "aborted",
                "not_sent",
            ];
            assert_eq!(probe["withheld"], 0, "of the lab's own server: {name}");
            let sum: u64 = outcomes
                .iter()
                .map(|outcome| number(&probe[*outcome]))
                .sum();
            assert_eq!(sum, number(&probe["due"]), "{name}");
            assert_eq!(number(&probe["response_us"]["count"]), sum, "{name}");
        }
    }
}

fn streams_sum_to_started(summary: &Value) {
    let streams = &summary["phases"]["load"]["streams"];
    let endings = [
        "complete",
        "truncated",
        "error",
        "stalled",
        "refused",
        "cancelled",
        "unserved",
    ];
    let sum: u64 = endings.iter().map(|ending| number(&streams[*ending])).sum();
    assert_eq!(sum, number(&streams["started"]));
    assert_eq!(sum, 20);
}

fn validates(bench: &Bench, summary: &Value) {
    let schema = bench.schema();
    let errors = schema_errors(&schema, summary);
    assert!(errors.is_empty(), "{errors:#?}");
    let mut other = summary.clone();
    other["surprise"] = Value::from(1);
    assert!(
        !schema_errors(&schema, &other).is_empty(),
        "the schema takes anything"
    );
}

fn the_interval_log_adds_up_to_the_summary(run: &std::path::Path) {
    let log = std::fs::read(run.join("cells/only/latency.hlog")).expect("log");
    let mut series: BTreeMap<String, Histogram<u64>> = BTreeMap::new();
    let mut deserializer = Deserializer::new();
    for entry in IntervalLogIterator::new(&log) {
        let LogEntry::Interval(interval) = entry.expect("a valid log") else {
            continue;
        };
        let bytes = base64(interval.encoded_histogram());
        let histogram: Histogram<u64> =
            deserializer.deserialize(&mut bytes.as_slice()).expect("V2");
        let tag = interval.tag().expect("a tag").as_str().to_owned();
        let sum = series.entry(tag).or_insert_with(|| {
            let mut empty = Histogram::new(3).expect("3 digits");
            empty.auto(true);
            empty
        });
        sum.add(&histogram).expect("added");
    }
    let summary = read(run);
    for name in ["health_sync", "health_async"] {
        let figures = &summary["phases"]["load"]["probes"][name]["response_us"];
        let merged = &series[&format!("hold.{name}.all")];
        assert_eq!(merged.len(), number(&figures["count"]), "{name}");
        let p99 = merged.value_at_quantile(0.99).min(merged.max());
        assert_eq!(p99, number(&figures["p99"]), "{name}");
    }
    assert!(
        series.contains_key("load.streams.ttft"),
        "{:?}",
        series.keys()
    );
}

/// The log's histograms are in base64, for which the reader brings nothing.
fn base64(text: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.bytes().filter(|&byte| byte != b'=') {
        let value = alphabet
            .iter()
            .position(|&letter| letter == byte)
            .expect("base64");
        bits = bits << 6 | u32::try_from(value).expect("in range");
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    bytes
}

fn every_format_compares(bench: &Bench) {
    let text = stdout(&bench.run(&["compare"]));
    assert!(text.contains("blocking_pool_exhausted"), "{text}");
    assert!(text.contains("closed loop p99"), "{text}");
    let too_wide: Vec<_> = text
        .lines()
        .filter(|line| line.chars().count() > 80)
        .collect();
    assert!(too_wide.is_empty(), "wider than a terminal: {too_wide:#?}");
    let markdown = stdout(&bench.run(&["compare", "--format", "markdown"]));
    assert!(
        markdown.starts_with("| short / only | broken | fixed |"),
        "{markdown}"
    );
    let json = bench.run(&["compare", "--format", "json"]);
    let json: Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(json[0]["variants"], serde_json::json!(["broken", "fixed"]));
}
