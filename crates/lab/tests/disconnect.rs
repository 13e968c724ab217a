//! Clients that hang up: each leaves where it was to, and the upstream's ledger tells what it left.

use crate::support;

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use lab::load::{RunningLoad, Start};
use lab::measure::{CellClock, Results};
use support::{Bench, stderr, stdout};
use testkit::{Stage, eventually};
use verdict::load::hang_ups::{HangUp, HangUpEnding, HangUpEvent, HangUpSpec, HangUpStage};
use verdict::load::{self, LoadEvent};
use verdict::record::Event;

/// Two clients at each of the stages that `more` has.
fn spec(more: &str) -> HangUpSpec {
    let text = format!(
        "path = \"/disconnect/stream\"\nttft = \"10ms\"\ninterval = \"50ms\"\nlength = \"10m\"\n\
         pause = \"500ms\"\npatience = \"5s\"\n{more}"
    );
    toml::from_str(&text).expect("a load")
}

const EVERY_STAGE: &str = "count = 10\nstages = [\"before_headers\", \"before_first_token\", \"mid_stream\", \
     \"after_last_content\", \"complete\"]";

const EVERY_HANG_UP: &str = "count = 8\nstages = [\"before_headers\", \"before_first_token\", \"mid_stream\", \
     \"after_last_content\"]";

fn start(stage: &Stage, spec: &HangUpSpec) -> (RunningLoad, Receiver<Event>) {
    let (results, received) = Results::new();
    let asked = load::Load {
        hang_ups: Some(spec.clone()),
        ..load::Load::default()
    };
    let start = Start {
        server: stage.url(""),
        upstreams: vec![stage.upstream_url("")],
        seed: 0,
        at: Duration::ZERO,
        first_stream: 0,
        clock: CellClock::new(Instant::now()),
        results,
    };
    (
        RunningLoad::start(&asked, &start).expect("it starts"),
        received,
    )
}

/// What became of each request of a row, once it is over.
fn row(received: &Receiver<Event>) -> Vec<HangUp> {
    let mut row = Vec::new();
    loop {
        let event = received.recv_timeout(Duration::from_secs(30));
        match event.expect("the row ends") {
            Event::Load(LoadEvent::HangUps(HangUpEvent::Ended(one))) => row.push(one),
            Event::Load(LoadEvent::HangUps(HangUpEvent::Over)) => return row,
            _ => {}
        }
    }
}

async fn open_streams(stage: &Stage) -> usize {
    let open = stage.upstream_json("/streams").await;
    open.as_array().expect("a list").len()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_leaves_where_it_was_to_whatever_the_upstream_does_and_however_it_leaves() {
    let stage = Stage::start("server-fixed", &[]);
    for load in [
        EVERY_STAGE.to_owned(),
        format!("{EVERY_STAGE}\nleave = \"rst\""),
        format!("{EVERY_HANG_UP}\nsilent = true"),
        format!("{EVERY_HANG_UP}\nsilent = true\nleave = \"rst\""),
        format!("{EVERY_STAGE}\nconcurrency = 5"),
    ] {
        let load = spec(&load);
        let (_load, received) = start(&stage, &load);
        let row = row(&received);
        assert_eq!(row.len(), load.count as usize);
        for one in row {
            assert_eq!(one.reached, Some(one.stage), "{one:?}");
            let expected = match one.stage {
                HangUpStage::Complete => HangUpEnding::Completed,
                _ => HangUpEnding::HungUp,
            };
            assert_eq!(one.ending, expected, "{one:?}");
            assert!(one.sent_us <= Some(one.left_us), "{one:?}");
        }
        eventually("the upstream is released", async || {
            open_streams(&stage).await == 0
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_vanishes_keeps_its_socket_until_the_load_is_dropped() {
    let stage = Stage::start("server-fixed", &[]);
    let load = spec("count = 3\nstages = [\"mid_stream\"]\nsilent = true\nleave = \"vanish\"");
    let (mut load, received) = start(&stage, &load);
    assert_eq!(row(&received).len(), 3);
    load.end();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(open_streams(&stage).await, 3);
    drop(load);
    eventually("their sockets are closed", async || {
        open_streams(&stage).await == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_served_nothing_hangs_and_what_the_load_ends_is_cut() {
    let stage = Stage::start("server-fixed", &["--max-upstream", "1"]);
    let mut hanging = spec(
        "count = 9\nstages = [\"mid_stream\"]\nsilent = true\nleave = \"vanish\"\n\
         after_hanging = 2",
    );
    hanging.patience = Duration::from_millis(300);
    let (_load, received) = start(&stage, &hanging);
    let endings: Vec<_> = row(&received).iter().map(|one| one.ending).collect();
    use HangUpEnding::{Hanging, HungUp};
    assert_eq!(endings, [HungUp, Hanging, Hanging, Hanging]);

    let stage = Stage::start("server-fixed", &[]);
    let endless = spec("count = 1\nstages = [\"mid_stream\"]\ntokens = 1000");
    let (mut load, received) = start(&stage, &endless);
    eventually("it is under way", async || open_streams(&stage).await == 1).await;
    load.end();
    let events: Vec<_> = received.try_iter().collect();
    let is_cut = |event: &Event| matches!(event, Event::Load(LoadEvent::HangUps(HangUpEvent::Ended(one))) if one.ending == HangUpEnding::Cut);
    assert!(events.iter().any(is_cut), "{events:?}");
    let is_over =
        |event: &Event| matches!(event, Event::Load(LoadEvent::HangUps(HangUpEvent::Over)));
    assert!(!events.iter().any(is_over), "it did not come to its end");
}

/// Two permits and a row of six, before an upstream that is silent.
const SCENARIO: &str = r#"
schema = 1
name = "short"
title = "A short row of hang-ups"

[server]
pool_threads = 4
worker_threads = 2
max_upstream = 2

[load.hang_ups]
path = "/disconnect/stream"
count = 6
stages = ["mid_stream"]
silent = true
ttft = "10ms"
interval = "30ms"
length = "10m"
patience = "1500ms"
after_hanging = 1
settle = "1s"

[probe]
rate = 100
timeout = "1s"
endpoints = { health_sync = "/debug/health-sync", health_async = "/debug/health-async" }

[phases]
baseline = "1s"
hold = "1s"
recovery = "2s"

[[variant]]
name = "broken"
server = "server-broken"
args = ["--variant", "detached-pump"]
model = "detached_pump"

[[variant]]
name = "fixed"
server = "server-fixed"
model = "releasing"

[[cell]]
name = "only"

[[expect]]
variant = "broken"
that = [
    "hang_ups.first_hanging == first_past_limit",
    "leftover.upstream == max_upstream",
    "leftover.permits == max_upstream",
    "diagnosis == connection_leak",
    "inferred_capacity == max_upstream",
    "forecast.first_hanging.error == 0%",
]

[[expect]]
variant = "fixed"
that = [
    "hang_ups.reached == hang_ups",
    "hang_ups.hanging == 0",
    "hang_ups.release_p99 <= 500ms",
    "leftover.upstream == 0",
    "leftover.permits == 0",
    "leftover.threads == 0",
    "leftover.tasks == 0",
    "leftover.connections == 0",
    "leftover.fds == 0",
]
"#;

#[test]
fn a_leak_is_found_with_its_limit_and_its_cure_leaves_nothing() {
    let bench = Bench::new(SCENARIO);
    let output = bench.measure(&["run", "short.toml"]);
    let text = format!("{}\n{}", stdout(&output), stderr(&output));
    assert_eq!(output.status.code(), Some(0), "{text}");
    let runs = bench.runs();
    let summary = |run: usize| -> serde_json::Value {
        let text = std::fs::read_to_string(runs[run].join("summary.json")).expect("saved");
        serde_json::from_str(&text).expect("JSON")
    };
    let broken = summary(0);
    let row = &broken["phases"]["load"]["hang_ups"];
    assert_eq!(row["served_after_first_hanging"], 0, "{row}");
    assert_eq!(row["tried_after_first_hanging"], 1, "{row}");
    assert_eq!(row["not_released"], 2, "{row}");
    assert_eq!(row["release_us"]["p50_censored"], true, "{row}");
    let fixed = summary(1);
    let row = &fixed["phases"]["load"]["hang_ups"];
    assert!(row["first_hanging"].is_null(), "{row}");
    assert_eq!(row["endings"]["hung_up"], 6, "{row}");

    let table = std::fs::read_to_string(runs[1].join("cells/only/hang_ups.csv")).expect("saved");
    let rows: Vec<Vec<_>> = table
        .lines()
        .map(|line| line.split(',').collect())
        .collect();
    assert_eq!(rows.len(), 7);
    let column = |name: &str| rows[0].iter().position(|one| *one == name).expect(name);
    for (n, row) in rows[1..].iter().enumerate() {
        assert_eq!(row[column("number")], (n + 1).to_string());
        assert_eq!(row[column("reached")], "mid_stream");
        assert!(row[column("released_us")].parse::<u64>().is_ok(), "{row:?}");
    }
}

#[test]
fn with_the_servers_exchanged_every_expectation_that_tells_them_apart_fails() {
    let exchanged = SCENARIO
        .replace("args = [\"--variant\", \"detached-pump\"]\n", "")
        .replace("\"server-broken\"", "\"?\"")
        .replace("\"server-fixed\"", "\"server-broken\"")
        .replace("\"?\"", "\"server-fixed\"");
    let bench = Bench::new(&exchanged);
    let output = bench.measure(&["run", "short.toml"]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for failed in [
        "hang_ups.first_hanging == first_past_limit — measured not measured",
        "leftover.upstream == max_upstream",
        "leftover.permits == max_upstream",
        "diagnosis == connection_leak",
        "inferred_capacity == max_upstream",
        "forecast.first_hanging.error == 0%",
        "hang_ups.reached == hang_ups",
        "hang_ups.hanging == 0",
        "hang_ups.release_p99 <= 500ms",
        "leftover.upstream == 0",
        "leftover.permits == 0",
        "leftover.tasks == 0",
        "leftover.fds == 0",
    ] {
        let line = format!("FAILED {failed}");
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words(&text).contains(&words(&line)), "{line}\n{text}");
    }
}
