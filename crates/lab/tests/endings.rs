//! Whatever ends a run, what was measured is saved and no process is left behind.
#![cfg(target_os = "linux")]

use crate::support;

use std::process::Output;
use std::time::{Duration, Instant};

use lab::measure::started_ticks;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{Bench, SHORT, stderr, stdout};

/// A run that would take a minute, caught in its hold.
struct Caught {
    bench: Bench,
    lab: std::process::Child,
    summary: Value,
}

impl Caught {
    fn in_the_hold() -> Self {
        let bench = Bench::new(&SHORT.replace("hold = \"2s\"", "hold = \"60s\""));
        let lab = bench
            .lab(&["run", "short.toml", "--variant", "broken"])
            .spawn()
            .expect("lab starts");
        let deadline = Instant::now() + Duration::from_secs(30);
        let summary = loop {
            assert!(
                Instant::now() < deadline,
                "the run does not get to its hold"
            );
            sleep(Duration::from_millis(100));
            let summary = bench.summary("only").unwrap_or_default();
            let due = &summary["phases"]["load"]["probes"]["health_async"]["due"];
            if due.as_u64().is_some_and(|due| due > 50) {
                break summary;
            }
        };
        Self {
            bench,
            lab,
            summary,
        }
    }

    fn pids(&self) -> [u32; 2] {
        [
            &self.summary["server"]["pid"],
            &self.summary["upstream"]["process"]["pid"],
        ]
        .map(|pid| u32::try_from(pid.as_u64().expect("a pid")).expect("a pid"))
    }

    fn wait(self) -> (Bench, Output, [u32; 2]) {
        let pids = self.pids();
        let output = self.lab.wait_with_output().expect("lab ends");
        (self.bench, output, pids)
    }
}

#[expect(clippy::disallowed_methods, reason = "a test without a runtime")]
fn sleep(time: Duration) {
    std::thread::sleep(time);
}

fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
    kill_process(pid, signal).expect("sent");
}

fn gone_within(time: Duration, pids: [u32; 2]) {
    let deadline = Instant::now() + time;
    for pid in pids {
        while started_ticks(pid).is_some() {
            assert!(Instant::now() < deadline, "process {pid} was left behind");
            sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn an_interrupted_run_is_saved_and_leaves_nothing_running() {
    let caught = Caught::in_the_hold();
    send(caught.lab.id(), Signal::INT);
    let (bench, output, pids) = caught.wait();
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
    let caught = Caught::in_the_hold();
    let [server, _] = caught.pids();
    send(server, Signal::KILL);
    let (bench, output, pids) = caught.wait();
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
    let caught = Caught::in_the_hold();
    send(caught.lab.id(), Signal::KILL);
    let (bench, _, pids) = caught.wait();
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
    let bench = Bench::new(&SHORT.replace("hold = \"2s\"", "hold = \"5s\""));
    let lab = bench
        .lab(&["run", "short.toml", "--variant", "fixed"])
        .spawn()
        .expect("lab starts");
    let deadline = Instant::now() + Duration::from_secs(30);
    while bench.summary("only").unwrap_or_default()["phases"]["load"]["hold_us"].as_u64()
        < Some(1_500_000)
    {
        assert!(
            Instant::now() < deadline,
            "the run does not get to its hold"
        );
        sleep(Duration::from_millis(50));
    }
    send(lab.id(), Signal::STOP);
    sleep(Duration::from_millis(200));
    send(lab.id(), Signal::CONT);
    let output = lab.wait_with_output().expect("lab ends");
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
    let caught = Caught::in_the_hold();
    let output = caught.bench.run(&["stop"]);
    assert!(
        stdout(&output).contains("nothing was left running"),
        "{}",
        stdout(&output)
    );
    assert!(
        caught
            .pids()
            .iter()
            .all(|&pid| started_ticks(pid).is_some())
    );
    send(caught.lab.id(), Signal::TERM);
    let (_, output, pids) = caught.wait();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    gone_within(Duration::ZERO, pids);
}
