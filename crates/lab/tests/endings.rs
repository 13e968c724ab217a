//! Whatever ends a run, what was measured is saved and no process is left behind.
#![cfg(target_os = "linux")]

use crate::support;

use std::time::Duration;

use lab::measure::started_ticks;
use support::caught::Caught;
use support::{Bench, SHORT, stderr, stdout};
use testkit::{Signal, block_until, signal};

/// A short run whose hold would take a minute, and the server and the upstream that it has.
fn caught() -> (Caught, [u32; 2]) {
    let text = SHORT.replace("hold = \"2s\"", "hold = \"60s\"");
    let caught = Caught::in_the_hold(&text, "broken");
    let summary = caught.bench.summary("only").expect("saved");
    let pids = [
        &summary["server"]["pid"],
        &summary["upstream"]["process"]["pid"],
    ];
    let pids = pids.map(|pid| u32::try_from(pid.as_u64().expect("a pid")).expect("a pid"));
    (caught, pids)
}

#[expect(clippy::disallowed_methods, reason = "a test without a runtime")]
fn sleep(time: Duration) {
    std::thread::sleep(time);
}

fn gone_within(limit: Duration, pids: [u32; 2]) {
    block_until("no process is left behind", limit, || {
        pids.iter()
            .all(|&pid| started_ticks(pid).is_none())
            .then_some(())
    });
}

#[test]
fn an_interrupted_run_is_saved_and_leaves_nothing_running() {
    let (caught, pids) = caught();
    let (bench, output) = caught.end(Signal::INT);
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    gone_within(Duration::ZERO, pids);
    let summary = bench.summary("only").expect("saved");
    assert_eq!(summary["state"], "interrupted");
    assert_eq!(summary["quality"]["valid"], false);
    let hold = &summary["phases"]["load"]["probes"]["health_async"];
    assert!(hold["ok"].as_u64() > Some(25), "{hold}");
    let reported = stdout(&output);
    assert!(reported.contains("interrupted"), "{reported}");
    assert!(reported.contains("health_async p99"), "{reported}");
}

#[test]
fn a_killed_server_ends_the_run_with_what_was_measured() {
    let (caught, pids) = caught();
    signal(pids[0], Signal::KILL);
    let (bench, output) = caught.wait();
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    gone_within(Duration::ZERO, pids);
    let summary = bench.summary("only").expect("saved");
    assert_eq!(summary["state"], "failed");
    let failure = summary["failure"].as_str().expect("a sentence");
    assert!(
        failure.contains("server-broken ended in the hold"),
        "{failure}"
    );
    assert!(
        stdout(&output).contains("server-broken ended in the hold"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn children_of_a_killed_lab_end_and_compare_reports_what_it_had_recorded() {
    let (caught, pids) = caught();
    let (bench, _) = caught.end(Signal::KILL);
    gone_within(Duration::from_secs(5), pids);
    let output = bench.run(&["compare"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(
        text.contains("was killed; this is what it had recorded"),
        "{text}"
    );
    assert!(text.contains("health_async p99"), "{text}");
    let summary = bench.summary("only").expect("saved");
    assert!(summary["phases"]["load"]["probes"]["health_async"]["ok"].as_u64() > Some(25));
    let output = bench.run(&["stop"]);
    assert!(
        stdout(&output).contains("nothing was left running"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn a_lab_that_was_frozen_itself_does_not_blame_the_server() {
    let text = SHORT.replace("hold = \"2s\"", "hold = \"5s\"");
    let caught = Caught::in_the_hold(&text, "fixed");
    signal(caught.lab.id(), Signal::STOP);
    sleep(Duration::from_millis(200));
    let (_, output) = caught.end(Signal::CONT);
    assert_eq!(output.status.code(), Some(3), "{}", stdout(&output));
    assert!(
        stdout(&output).contains("INVALID: the probe sent its checks"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn a_run_outlives_whoever_read_what_it_prints() {
    let bench = Bench::new(SHORT);
    let mut lab = bench
        .lab(&["run", "short.toml", "--variant", "fixed"])
        .spawn()
        .expect("lab starts");
    drop(lab.stdout.take());
    drop(lab.stderr.take());
    let status = lab.wait().expect("lab ends");
    assert!(matches!(status.code(), Some(0 | 3)), "{status}");
    assert_eq!(bench.summary("only").expect("saved")["state"], "complete");
}

#[test]
fn stop_leaves_alone_what_a_living_lab_looks_after() {
    let (caught, pids) = caught();
    let output = caught.bench.run(&["stop"]);
    assert!(
        stdout(&output).contains("nothing was left running"),
        "{}",
        stdout(&output)
    );
    assert!(pids.iter().all(|&pid| started_ticks(pid).is_some()));
    let (_, output) = caught.end(Signal::TERM);
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    gone_within(Duration::ZERO, pids);
}
