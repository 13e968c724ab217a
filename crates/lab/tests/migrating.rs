//! Every command of docs/migrating.md, as it stands there, against servers that have the disease or
//! the cure. A block that no case covers fails.

use crate::support;

use std::path::Path;
use std::process::{Output, Stdio};

use support::{LAB, stderr, stdout};
use testkit::Stage;

const GUIDE: &str = include_str!("../../../docs/migrating.md");

/// The shell blocks of the guide, in order.
fn blocks() -> Vec<&'static str> {
    let parts = GUIDE.split("```sh\n").skip(1);
    parts
        .map(|part| part.split_once("```").expect("a closed block").0)
        .collect()
}

/// The one block with this in it.
fn block(part: &str) -> &'static str {
    let found: Vec<_> = blocks()
        .into_iter()
        .filter(|block| block.contains(part))
        .collect();
    assert_eq!(found.len(), 1, "blocks with {part}: {found:#?}");
    found[0]
}

/// Runs a block in an empty folder, with `lab` on the path and the addresses of the server; again if it
/// says that the machine was too busy to measure.
async fn run(block: &str, stage: Option<&Stage>, folder: &Path) -> Output {
    let mut output = run_once(block, stage, folder).await;
    for _ in 0..3 {
        if output.status.code() == Some(3) {
            output = run_once(block, stage, folder).await;
        }
    }
    output
}

async fn run_once(block: &str, stage: Option<&Stage>, folder: &Path) -> Output {
    let bin = Path::new(LAB).parent().expect("a folder").to_owned();
    let mut paths = vec![bin];
    paths.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    let url = |path: &str| stage.map_or(String::new(), |stage| stage.url(path));
    let shell = tokio::process::Command::new("sh")
        .args(["-euc", block])
        .current_dir(folder)
        .env("PATH", std::env::join_paths(paths).expect("a path"))
        .env("SYNC_URL", url("/debug/health-sync"))
        .env("ASYNC_URL", url("/debug/health-async"))
        .env(
            "STREAM_URL",
            url("/chat/stream?ttft=20ms&interval=100ms&chunks=3000"),
        )
        .stdin(Stdio::null())
        .output();
    shell.await.expect("sh")
}

fn diseased() -> Stage {
    Stage::start("server-broken", &["--pool-threads", "4"])
}

fn cured() -> Stage {
    Stage::start("server-fixed", &["--pool-threads", "4"])
}

#[track_caller]
fn is(output: &Output, code: i32, parts: &[&str]) {
    let text = stdout(output) + &stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    // Lines are broken where the terminal ends.
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in parts {
        assert!(text.contains(part), "\"{part}\" is not in: {text}");
    }
}

/// What the tests below run, and what CI runs, by a part that no other block has.
const COVERED: [&str; 7] = [
    "\"$ASYNC_URL\" --for",
    "--json --for",
    "lab forecast",
    "--alert-above",
    "--find-capacity",
    "--fail-if",
    "cargo install",
];

/// What stands in the text as a command.
const INLINE: [&str; 3] = ["lab", "lab attach", "lab attach --help"];

/// The inline code of the guide's text that is a command of `lab` or `cargo`.
fn inline() -> Vec<&'static str> {
    let fenced = GUIDE.split("```");
    let text = fenced.step_by(2);
    let spans = text.flat_map(|text| text.split('`').skip(1).step_by(2));
    let is_command = |span: &&str| matches!(span.split(' ').next(), Some("lab" | "cargo"));
    spans.filter(is_command).collect()
}

#[tokio::test]
async fn a_command_in_the_text_is_one_that_lab_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut found = inline();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, INLINE, "put what is to be run into a block");
    for command in found {
        let output = run(&format!("{command} --help"), None, folder.path()).await;
        is(&output, 0, &["Usage: lab"]);
    }
}

/// It builds for minutes, and into the folder that the tests take their programs from: a step of CI.
#[test]
fn the_installation_is_run_by_ci() {
    let ci = include_str!("../../../.ci/run");
    let installation = block(COVERED[6]).trim();
    let has_step = ci.lines().any(|line| line.trim().ends_with(installation));
    assert!(has_step, "not in .ci/run: {installation}");
}

#[test]
fn every_block_of_the_guide_is_run_by_a_test() {
    let blocks = blocks();
    assert_eq!(blocks.len(), COVERED.len(), "{blocks:#?}");
    let mut covered: Vec<_> = COVERED.into_iter().map(block).collect();
    covered.sort_unstable();
    covered.dedup();
    assert_eq!(covered.len(), blocks.len(), "a block is run by no test");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_watch_tells_the_disease_from_health() {
    let folder = tempfile::tempdir().expect("a folder");
    let watch = block(COVERED[0]);
    let (healthy, ill) = (cured(), diseased());
    let _streams = ill.hold_the_pool().await;
    let (healthy, ill) = tokio::join!(
        run(watch, Some(&healthy), folder.path()),
        run(watch, Some(&ill), folder.path()),
    );
    is(&healthy, 0, &["healthy", "5 ticks, 0 alerts"]);
    is(
        &ill,
        1,
        &["ALERT: limit_shared_with_health", "5 ticks", "1 alert"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_watch_beside_a_load_leaves_a_line_for_each_tick() {
    let folder = tempfile::tempdir().expect("a folder");
    let stage = diseased();
    let _streams = stage.hold_the_pool().await;
    let output = run(block(COVERED[1]), Some(&stage), folder.path()).await;
    is(&output, 0, &["an alert fired"]);
    let written = std::fs::read_to_string(folder.path().join("ticks.jsonl")).expect("written");
    let (ticks, changes): (Vec<_>, Vec<_>) =
        written.lines().partition(|line| line.contains("\"tick\":"));
    assert_eq!(ticks.len(), 5, "{written}");
    assert!(changes[0].contains("\"changed\":"), "{written}");
    let ticks = ticks.concat();
    assert!(
        ticks.contains("\"family\":\"limit_shared_with_health\""),
        "{ticks}"
    );
}

#[tokio::test]
async fn the_forecast_needs_no_server_and_no_repository() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = run(block(COVERED[2]), None, folder.path()).await;
    is(&output, 0, &["served_at_once", "40"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_watch_after_a_deployment_passes_a_cured_server_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let watch = block(COVERED[3]);
    let (new, old) = (cured(), diseased());
    let _streams = old.hold_the_pool().await;
    let (new, old) = tokio::join!(
        run(watch, Some(&new), folder.path()),
        run(watch, Some(&old), folder.path()),
    );
    is(&new, 0, &["0 alerts"]);
    is(&old, 1, &["1 alert"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attach_finds_the_diagnosis_and_the_capacity_of_a_diseased_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let stage = diseased();
    let output = run(block(COVERED[4]), Some(&stage), folder.path()).await;
    is(
        &output,
        0,
        &[
            "blocking_pool_exhausted",
            "4, seen in 2 of 2 steps that asked for more; from there on health waits",
        ],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gate_fails_on_the_old_version_and_passes_the_new_one() {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let gate = block(COVERED[5]);
    let (old, new) = (diseased(), cured());
    let (old, new) = tokio::join!(
        run(gate, Some(&old), folders[0].path()),
        run(gate, Some(&new), folders[1].path()),
    );
    is(&old, 1, &["health_sync.p99"]);
    is(&new, 0, &["healthy"]);
}
