//! What a run left before still means the same today: a summary of each kind of load, made by version
//! 0.1.0, and the names of its metrics. A file that is read and written again has the same keys and the
//! same types, and beside them no new keys but those of [`ADDED`].

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use verdict::metrics::{measured, number, unit_of};
use verdict::summary::{Index, Summary};

const SUMMARIES: [(&str, &str); 7] = [
    ("streams", include_str!("data/before/streams.json")),
    ("requests", include_str!("data/before/requests.json")),
    ("bodies", include_str!("data/before/bodies.json")),
    ("kubelet", include_str!("data/before/kubelet.json")),
    ("hang_ups", include_str!("data/before/hang_ups.json")),
    ("steps", include_str!("data/before/steps.json")),
    ("attach", include_str!("data/before/attach.json")),
];

/// Keys that version 0.1.0 did not write.
const ADDED: [&str; 12] = [
    "checks_percent",
    "family",
    "first_chunk_us",
    "first_look",
    "framework",
    "member",
    "quota",
    "receiving_us",
    "refused_us",
    "silence_us",
    "threads_peak",
    "withheld",
];

/// Where two documents differ, as a path.
fn differences(path: &str, before: &Value, after: &Value) -> Vec<String> {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let new = after.keys().filter(|key| !before.contains_key(*key));
            let new = new.filter(|key| !ADDED.contains(&key.as_str()));
            let mut found: Vec<_> = new.map(|key| format!("{path}.{key} is new")).collect();
            for (key, value) in before {
                let path = format!("{path}.{key}");
                match after.get(key) {
                    Some(other) => found.extend(differences(&path, value, other)),
                    None => found.push(format!("{path} is lost")),
                }
            }
            found
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            let pairs = before.iter().zip(after).enumerate();
            pairs
                .flat_map(|(n, (a, b))| differences(&format!("{path}[{n}]"), a, b))
                .collect()
        }
        // Numbers compare with their type: 1 is not 1.0.
        (before, after) if before == after => Vec::new(),
        (before, after) => vec![format!("{path} was {before} and is {after}")],
    }
}

fn read_and_written<T: DeserializeOwned + Serialize>(name: &str, text: &str) -> T {
    let before: Value = serde_json::from_str(text).expect("JSON");
    let read: T = serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let after = serde_json::to_value(&read).expect("JSON");
    assert_eq!(differences(name, &before, &after), Vec::<String>::new());
    read
}

#[test]
fn a_summary_of_before_is_read_and_written_key_by_key() {
    for (name, text) in SUMMARIES {
        let summary: Summary = read_and_written(name, text);
        let load = &summary.phases.load;
        let has_its_load = match name {
            "streams" => load.streams.started > 0,
            "requests" => !load.requests.is_empty(),
            "bodies" => !summary.server.timings.is_empty(),
            "kubelet" => summary.kubelet.is_some(),
            "hang_ups" => load.hang_ups.is_some() && summary.leftovers.is_some(),
            "steps" => !summary.steps.is_empty(),
            _ => summary.attach.is_some(),
        };
        assert!(has_its_load, "{name} proves nothing");
    }
    let _: Index = read_and_written("index", include_str!("data/before/index.json"));
}

#[test]
fn every_metric_of_before_is_known() {
    let names = include_str!("data/before/metrics.txt").lines();
    let lost: Vec<_> = names.filter(|name| unit_of(name).is_none()).collect();
    assert_eq!(lost, Vec::<&str>::new());
}

/// What an expectation reads of a summary of before is what was judged then.
#[test]
fn every_expectation_of_before_is_measured_as_before() {
    for (name, text) in SUMMARIES {
        let summary: Summary = serde_json::from_str(text).expect("a summary");
        for outcome in &summary.expectations {
            let was_measured = outcome.measured != "not measured";
            let is_measured = measured(&outcome.name, &summary).is_some();
            assert_eq!(is_measured, was_measured, "{name}: {}", outcome.name);
        }
        for row in &summary.forecast {
            let measured = number(&row.metric, &summary);
            let before = row.measured.map(|value| (value, row.measured_censored));
            assert_eq!(measured, before, "{name}: {}", row.metric);
        }
    }
}
