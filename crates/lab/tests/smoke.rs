//! Every variant of every scenario, for real: one cell of each, shortened to seconds. A variant that is
//! new is covered by itself. Whether it fails as it should is what `make verify` is for.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use serde_json::Value;
use testkit::schema_errors;
use toml::{Table, Value as Toml};

use crate::support::processes::left_in;
use crate::support::{Bench, stderr, stdout};

macro_rules! before {
    ($name:literal) => {
        include_str!(concat!("../../verdict/tests/data/before/", $name, ".json"))
    };
}

/// How many cells are run side by side: most of their time they wait.
const AT_ONCE: usize = 4;

/// What every cell is shortened by, laid over whatever it has. A cell has fewer streams as well.
const SHORT: &str = r#"
probe = { rate = 200 }
phases = { baseline = "600ms", hold = "2600ms", recovery = "1s" }
"#;

/// No cell has more streams, and they come within so long.
const STREAMS: i64 = 200;
const RAMP: &str = "500ms";

/// Summaries of before, by scenario and variant: what was measured then is measured today.
const BEFORE: [(&str, &str); 5] = [
    ("stream, broken", before!("streams")),
    ("route-matrix, fixed", before!("requests")),
    ("liveness, fixed", before!("kubelet")),
    ("disconnect, fixed", before!("hang_ups")),
    ("rollout, fixed", before!("steps")),
];

/// What a run of a few seconds need not come to.
const NEED_NOT_BE: [&str; 10] = [
    "tail",
    "recovery",
    "hanging",
    "first_hanging",
    "tried_after_first_hanging",
    "served_after_first_hanging",
    "time_to_recover_us",
    "pending_later",
    "later_us",
    "drain_us",
];

/// One variant, with a file in which it has one cell.
struct Smoke {
    name: String,
    file: String,
}

#[test]
fn every_variant_of_every_scenario_runs_to_its_end_and_leaves_nothing_behind() {
    let schema = Bench::new("").schema();
    let smokes: Vec<Smoke> = scenarios().iter().flat_map(|path| smokes(path)).collect();
    assert!(smokes.len() >= 25, "{} variants", smokes.len());
    let (left, failed) = (Mutex::new(smokes.iter()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(smoke) = next(&left) {
                    if let Err(why) = run(smoke, &schema) {
                        failed
                            .lock()
                            .expect("no panic")
                            .push(format!("{}: {why}", smoke.name));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no panic");
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

fn next<'a>(left: &Mutex<std::slice::Iter<'a, Smoke>>) -> Option<&'a Smoke> {
    left.lock().expect("no panic").next()
}

/// The files of the scenarios.
fn scenarios() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios");
    let entries = std::fs::read_dir(folder).expect("the scenarios").flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "toml")
    });
    files.sort();
    files
}

/// Each variant of a scenario with one of its cells, a quick one if there is one, as short as can be.
fn smokes(path: &Path) -> Vec<Smoke> {
    let text = std::fs::read_to_string(path).expect("readable");
    let mut file: Table = text.parse().expect("TOML");
    // Nothing is expected of figures that are made in so little time.
    for judged in ["expect", "fail_if", "field_report", "no_forecast"] {
        file.remove(judged);
    }
    let scenario = file["name"].as_str().expect("a name").to_owned();
    let quick = table(file.remove("quick"));
    let cells = array(file.remove("cell"));
    let variants = array(file.remove("variant"));
    let smoke = |variant: Table| {
        let name = variant["name"].as_str().expect("a name").to_owned();
        let mut cell = cell_of(&name, &cells).unwrap_or_else(|| panic!("no cell of {name}"));
        let own_quick = table(cell.remove("quick").filter(Toml::is_table));
        for over in [quick.clone(), own_quick] {
            lay_over(&mut cell, over);
        }
        shorten(&mut cell);
        let mut file = file.clone();
        file.insert("variant".to_owned(), vec![variant].into());
        file.insert("cell".to_owned(), vec![cell].into());
        Smoke {
            name: format!("{scenario}, {name}"),
            file: file.to_string(),
        }
    };
    variants.into_iter().map(smoke).collect()
}

/// A cell that the variant is run in.
fn cell_of(variant: &str, cells: &[Table]) -> Option<Table> {
    let has_it = |cell: &&Table| match cell.get("variants") {
        Some(names) => names.as_array().expect("names").contains(&variant.into()),
        None => true,
    };
    let is_quick = |cell: &&Table| cell.get("quick").and_then(Toml::as_bool) == Some(true);
    let mut own: Vec<&Table> = cells.iter().filter(has_it).collect();
    own.sort_by_key(|cell| !is_quick(cell));
    own.first().copied().cloned()
}

fn shorten(cell: &mut Table) {
    // The one cell that there is, in the only form that there is, and of the only variant.
    cell.remove("quick");
    cell.remove("variants");
    lay_over(cell, SHORT.parse().expect("TOML"));
    if let Some(steps) = cell.get_mut("steps").and_then(Toml::as_array_mut) {
        steps.truncate(1);
    }
    let streams = cell
        .get_mut("load")
        .and_then(|load| load.get_mut("streams"));
    if let Some(streams) = streams.and_then(Toml::as_table_mut)
        && let Some(count) = streams.get("count").and_then(Toml::as_integer)
    {
        streams.insert("count".to_owned(), count.min(STREAMS).into());
        streams.insert("ramp".to_owned(), RAMP.into());
    }
}

/// Lays the values of one table over those of another.
fn lay_over(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Toml::Table(below)), Toml::Table(above)) => lay_over(below, above),
            (_, value) => drop(below.insert(key, value)),
        }
    }
}

fn table(value: Option<Toml>) -> Table {
    value.map_or_else(Table::new, |value| value.try_into().expect("a table"))
}

fn array(value: Option<Toml>) -> Vec<Table> {
    value.expect("there").try_into().expect("tables")
}

fn run(smoke: &Smoke, schema: &Value) -> Result<(), String> {
    let bench = Bench::new(&smoke.file);
    let output = bench.run(&["run", "short.toml"]);
    let printed = format!("{}\n{}", stdout(&output), stderr(&output));
    // 3: cells that are run side by side may be late, and the lab says so.
    if !matches!(output.status.code(), Some(0 | 3)) {
        return Err(printed);
    }
    let summary = bench.only_summary().ok_or("there is no summary")?;
    if summary["state"] != "complete" {
        return Err(format!("{}: {printed}", summary["state"]));
    }
    if let Some(error) = schema_errors(schema, &summary).pop() {
        return Err(format!("the summary is not as the schema says: {error}"));
    }
    let before = BEFORE.iter().find(|(name, _)| *name == smoke.name);
    if let Some(before) = before.and_then(|(_, text)| serde_json::from_str::<Value>(text).ok()) {
        let lost: Vec<_> = measured(&before)
            .difference(&measured(&summary))
            .cloned()
            .collect();
        if !lost.is_empty() {
            return Err(format!("measured before and not today: {lost:?}"));
        }
    }
    let probes = &summary["phases"]["load"]["probes"]["health_async"]["due"];
    if probes.as_u64() < Some(500) {
        return Err(format!("{probes} checks in the load"));
    }
    let left = left_in(bench.path());
    if !left.is_empty() {
        return Err(format!("left behind: {left:?}"));
    }
    println!("{}: {}", smoke.name, summary["diagnosis"]["kind"]);
    Ok(())
}

/// The paths of what a summary has a figure of.
fn measured(summary: &Value) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for part in [
        "phases",
        "closed_loop",
        "server",
        "upstream",
        "leftovers",
        "kubelet",
        "steps",
        "quality",
    ] {
        add_measured(part, &summary[part], &mut paths);
    }
    paths
}

fn add_measured(path: &str, value: &Value, paths: &mut BTreeSet<String>) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (name, value) in fields {
                // What it is counted by differs from run to run.
                let is_by_value = ["statuses", "sizes"].contains(&name.as_str());
                if !is_by_value && !NEED_NOT_BE.contains(&name.as_str()) {
                    add_measured(&format!("{path}.{name}"), value, paths);
                }
            }
        }
        Value::Array(all) if path == "steps" => {
            if let Some(first) = all.first() {
                add_measured(path, first, paths);
            }
        }
        _ => drop(paths.insert(path.to_owned())),
    }
}
