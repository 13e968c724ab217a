//! What was given is checked before anything is asked, and named as it was given.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::fake::Fake;
use crate::support::{Bench, stderr, stdout};
use testkit::eventually;

/// Nothing listens there: what is told of instead was found before.
const NOBODY: &str = "http://127.0.0.1:1/";

fn attach<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [
        &["attach", "--stream", NOBODY, "--health", NOBODY][..],
        more,
    ]
    .concat()
}

/// The one sentence that the lab ends with at once.
fn refused(bench: &Bench, arguments: &[&str], code: i32) -> String {
    let begun = Instant::now();
    let output = bench.run(arguments);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    assert_eq!(stdout(&output), "", "{arguments:?}");
    assert_eq!(text.trim().lines().count(), 1, "{text}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    text
}

const TARGET: &str = r#"
schema = 1
name = "given"
title = "A target"
probe = { rate = 50, timeout = "1s" }
phases = { baseline = "1s", hold = "1s", recovery = "1s" }
[[cell]]
name = "only"
steps = [{ name = "1", streams = 1 }]
[target]
stream = "http://127.0.0.1:1/"
health = "http://127.0.0.1:1/"
"#;

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_process_that_is_not_there_is_said_before_anything_is_asked() {
    let bench = Bench::new(&format!("{TARGET}\npid = 999999999\n"));
    for arguments in [attach(&["--pid", "999999999"]), vec!["run", "short.toml"]] {
        let text = refused(&bench, &arguments, 4);
        assert!(text.contains("there is no process 999999999"), "{text}");
    }
    let mut ended = Command::new("true").spawn().expect("starts");
    let pid = ended.id().to_string();
    let stat = format!("/proc/{pid}/stat");
    let is_zombie = || std::fs::read_to_string(&stat).is_ok_and(|text| text.contains(") Z "));
    eventually("it has ended", || async { is_zombie() }).await;
    let text = refused(&bench, &attach(&["--pid", &pid]), 4);
    assert!(text.contains("zombie"), "{text}");
    ended.wait().expect("ended");
}

#[test]
fn a_condition_that_cannot_be_judged_is_refused_with_what_would_be_right() {
    let bench = Bench::new("");
    for (condition, instead) in [
        ("health.p99 > 3", "health.p99 > 50ms"),
        ("health.unanswered > 1", "health.unanswered > 1%"),
        ("streams.lost > 5ms", "streams.lost > 3"),
        ("streams.lost > nan", "is no parameter"),
        (
            "diagnosis == nonsense",
            "is no diagnosis; there are healthy",
        ),
        ("diagnosis > healthy", "write == or !="),
        ("healht.p99 > 3ms", "did you mean \"health.p99\""),
    ] {
        let text = refused(&bench, &attach(&["--fail-if", condition]), 2);
        assert!(text.contains(instead), "{condition}: {text}");
        let condition = condition.replace("healht", "health");
        assert!(
            !text.contains("expect") && !text.contains("cell"),
            "{condition}: {text}"
        );
        let expect =
            format!("{TARGET}\n[[expect]]\nvariant = \"target\"\nthat = [\"{condition}\"]\n");
        if !condition.contains("3ms") {
            refused(&Bench::new(&expect), &["run", "short.toml"], 2);
        }
    }
}

#[test]
fn whoever_typed_a_flag_is_told_of_it_and_whoever_wrote_a_key_of_that() {
    let bench = Bench::new("");
    for (flags, told) in [
        (
            ["--streams", "512"],
            "`--streams` is out of range: at most `--max-streams`",
        ),
        (["--streams", "8,4"], "`--streams` is out of range"),
        (
            ["--baseline", "100h"],
            "`--baseline` is out of range: 500ms to 1h",
        ),
        (["--for", "1ms"], "`--for` is out of range"),
        (["--timeout", "1ms"], "`--timeout` is out of range"),
        (
            ["--max-time", "1s"],
            "unless `--hang-up` is off, twice `--settle`",
        ),
        (
            ["--async-health", "ftp://x"],
            "`--async-health` is out of range: a URL that starts",
        ),
    ] {
        let text = refused(&bench, &attach(&flags), 2);
        assert!(text.contains(told), "{text}");
        assert!(
            !text.contains("target.") && !text.contains("cell"),
            "{text}"
        );
    }
    let file = Bench::new(&TARGET.replace(
        "streams = 1 }",
        "streams = 1 }, { name = \"9\", streams = 512 }",
    ));
    let text = refused(&file, &["run", "short.toml"], 2);
    assert!(
        text.contains("`steps.streams`") && text.contains("`target.max_streams`"),
        "{text}"
    );
}

#[test]
fn the_help_shows_what_stands_for_the_number_of_a_stream() {
    let output = Bench::new("").run(&["attach", "--help"]);
    let text = stdout(&output);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("{n} in it stands for"), "{text}");
}

/// Forks and ends children without a pause, until it is dropped.
struct Busy(Child);

impl Busy {
    fn start() -> Self {
        let script = "while kill -0 $PPID; do \
            for n in 1 2 3 4; do (i=0; while [ $i -lt 300 ]; do i=$((i+1)); done) & done; wait; done";
        let mut command = Command::new("sh");
        command.args(["-c", script]).stderr(Stdio::null());
        Self(command.spawn().expect("sh starts"))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_whose_children_end_all_the_time_is_measured() {
    let bench = Bench::new("");
    let fake = Fake::start().await;
    let busy = Busy::start();
    let (stream, health, pid) = (
        fake.url("/events"),
        fake.url("/health"),
        busy.0.id().to_string(),
    );
    let output = bench.run(&[
        "attach",
        "--stream",
        &stream,
        "--health",
        &health,
        "--pid",
        &pid,
        "--streams",
        "1,2",
        "--for",
        "1s",
        "--baseline",
        "1s",
        "--settle",
        "1s",
    ]);
    let text = format!("{}{}", stdout(&output), stderr(&output));
    assert!(matches!(output.status.code(), Some(0 | 3)), "{text}");
    let summary = bench.summary("attach").expect("saved");
    assert!(
        summary["server"]["cpu_us"].as_u64() > Some(0),
        "{:#}",
        summary["server"]
    );
}
