//! Classes of requests and phases of a body, in one table across cells, as `lab compare` prints it of
//! real runs.

use crate::support;

use serde_json::Value;
use support::{Bench, stderr, stdout};

const BODIES: &str = r#"
schema = 1
name = "bodies"
title = "Small and large bodies, for the tests"
seed = 3

[server]
pool_threads = 4
worker_threads = 1
runtime = "single-threaded"

[load.requests.small]
method = "POST"
path = "/pong"
body_bytes = 512
rate = 50
timeout = "5s"

[load.requests.large]
method = "POST"
path = "/pong"
body_bytes = 1000000
users = 1
think = { min = "50ms", max = "100ms" }
timeout = "5s"

[probe]
rate = 50
timeout = "1s"
endpoints = { health_async = "/debug/health-async" }

[phases]
baseline = "1s"
hold = "2s"
recovery = "2s"

[[variant]]
name = "broken"
server = "server-broken"
model = "none"

[[cell]]
name = "one"

[[cell]]
name = "other"
load.requests.small.path = "/ping"
load.requests.large.path = "/ping"
"#;

const PHASES: [&str; 4] = [
    "read_chunks",
    "string_conversion",
    "json_parsing",
    "param_creation",
];

fn table(bench: &Bench, layout: &str, format: &str) -> String {
    let output = bench.run(&["compare", "--table", layout, "--format", format]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    stdout(&output)
}

#[test]
fn classes_and_phases_of_all_cells_stand_in_one_table_each() {
    let bench = Bench::new(BODIES);
    let output = bench.measure(&["run", "short.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));

    let classes: Value = serde_json::from_str(&table(&bench, "classes", "json")).expect("JSON");
    let rows = classes["variants"][0]["rows"].as_array().expect("rows");
    let names = rows.iter().map(|row| {
        let [class, path] = ["of", "path"].map(|key| row[key].as_str().expect("text"));
        format!("{class}, {path}")
    });
    let expected = [
        "large, /pong",
        "large, /ping",
        "small, /pong",
        "small, /ping",
    ];
    assert_eq!(names.collect::<Vec<_>>(), expected);
    let summary = bench.summary("one").expect("a summary");
    let figures = &summary["phases"]["load"]["requests"]["small"]["response_us"];
    let row = &rows[2];
    assert_eq!(row["cell"], "one");
    for (label, key) in [
        ("min", "min"),
        ("median", "p50"),
        ("p95", "p95"),
        ("max", "max"),
    ] {
        let entries = row["entries"].as_array().expect("entries");
        let entry = entries.iter().find(|entry| entry["label"] == label);
        let shown = entry.expect(label)["figure"]["median"].as_f64();
        assert_eq!(shown, figures[key].as_f64(), "{label}: {row}");
    }

    let phases: Value = serde_json::from_str(&table(&bench, "phases", "json")).expect("JSON");
    let rows = phases["variants"][0]["rows"].as_array().expect("rows");
    let of_one = rows.iter().filter(|row| row["cell"] == "one");
    let names: Vec<_> = of_one.map(|row| row["of"].as_str()).collect();
    assert_eq!(names, PHASES.map(Some));

    for layout in ["classes", "phases"] {
        let text = table(&bench, layout, "text");
        let is_too_wide = |line: &&str| line.chars().count() > 80;
        let too_wide: Vec<_> = text.lines().filter(is_too_wide).collect();
        assert!(too_wide.is_empty(), "wider than a terminal: {too_wide:#?}");
    }
    a_document_gets_the_table_between_its_marks(&bench);
}

fn a_document_gets_the_table_between_its_marks(bench: &Bench) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("page.md");
    let page = "before\n<!-- generated -->\nstale\n<!-- end generated -->\nafter\n";
    std::fs::write(&file, page).expect("written");
    let path = file.to_str().expect("text");
    let output = bench.run(&["compare", "--table", "classes", "--into", path]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let page = std::fs::read_to_string(&file).expect("text");
    assert!(
        page.starts_with("before\n") && page.ends_with("\nafter\n"),
        "{page}"
    );
    assert!(!page.contains("stale"), "{page}");
    assert!(page.contains("| **small, /pong** |"), "{page}");
    let none = bench.run(&["compare", "--cell", "missing"]);
    assert_eq!(none.status.code(), Some(2), "{}", stderr(&none));
}
