//! The kubelet really ends the real process and starts it again, and leaves nothing behind.
#![cfg(target_os = "linux")]

use crate::support;

use std::path::Path;
use std::time::{Duration, Instant};

use lab::measure::started_ticks;
use lab::stage::{Pod, Port, Records, Spec};
use serde_json::Value;
use support::caught::Caught;
use support::processes::left_in;
use support::{Bench, LAB, stderr, stdout};
use testkit::{Signal, block_until, eventually, schema_errors, signal};

/// Twice the predictions that four threads can make, and a kubelet in a tenth of its time: a probe
/// each 500 ms that may take 200 ms. The load starts 100 ms before one is due, so that it is the next
/// that fails, and by far.
const PREDICTIONS: &str = r#"
schema = 1
name = "short"
title = "A short run for the tests"

[server]
pool_threads = 4
worker_threads = 2

[load.requests.predict]
method = "POST"
path = "/predict?work=100ms"
rate = 80
timeout = "1s"
keep_alive = true

[kubelet]
time_scale = 0.1
livenessProbe = { path = "/livez", periodSeconds = 5, timeoutSeconds = 2 }
readinessProbe = { path = "/readyz?work=100ms", periodSeconds = 5, timeoutSeconds = 2 }

[probe]
rate = 25
timeout = "1s"
endpoints = { health_sync = "/debug/health-sync", health_async = "/debug/health-async" }

[phases]
baseline = "900ms"
hold = "5s"
recovery = "2s"

[[variant]]
name = "broken"
server = "server-broken"
model = "shared_pool"

[[variant]]
name = "fixed"
server = "server-fixed"
model = "bulkhead"

[[cell]]
name = "only"

[[expect]]
variant = "broken"
that = [
    "kubelet.restarts > 0",
    "forecast.first_kill.error <= 15%",
    "requests.predict.lost > 0",
    "diagnosis == blocking_pool_exhausted",
]

[[expect]]
variant = "fixed"
that = ["kubelet.restarts == 0", "kubelet.liveness_failed == 0", "requests.predict.lost == 0"]
"#;

/// The fixed server with next to no load and a kubelet in its own time, for as long as a test needs.
fn quiet() -> String {
    PREDICTIONS
        .replace("rate = 80", "rate = 1")
        .replace("hold = \"5s\"", "hold = \"60s\"")
}

#[test]
fn a_server_whose_probe_waits_is_restarted_on_its_port_and_one_whose_does_not_is_not() {
    let bench = Bench::new(PREDICTIONS);
    let output = bench.measure(&["run", "short.toml"]);
    let printed = format!("{}\n{}", stdout(&output), stderr(&output));
    assert_eq!(output.status.code(), Some(0), "{printed}");
    assert_eq!(left_in(bench.path()), [], "left behind");

    let runs = bench.runs();
    let broken = read(&runs[0]);
    let kills = broken["kubelet"]["kills"].as_array().expect("kills");
    assert!(!kills.is_empty(), "{broken}");
    let mut pids: Vec<_> = kills.iter().map(|kill| &kill["next_pid"]).collect();
    assert!(pids.iter().all(|pid| pid.is_u64()), "{kills:?}");
    // The last one is the server of the summary, and none is twice there.
    assert_eq!(pids.last(), Some(&&broken["server"]["pid"]));
    pids.dedup();
    assert_eq!(pids.len(), kills.len());
    for kill in kills {
        assert_eq!(kill["cause"], "liveness");
        assert!(kill["took_us"].as_u64() > Some(0), "{kill}");
    }
    let addresses = listened_on(&runs[0]);
    assert_eq!(addresses.len(), kills.len() + 1);
    assert!(
        addresses.iter().all(|address| *address == addresses[0]),
        "{addresses:?}"
    );
    let first_kill = broken["kubelet"]["first_kill_us"].as_u64();
    let forecast = broken["forecast"].as_array().expect("rows");
    let forecast = forecast.iter().find(|row| row["name"] == "first_kill");
    assert_eq!(
        forecast.expect("a row")["measured"].as_f64(),
        first_kill.map(|us| us as f64)
    );
    // Whatever the restarts did to its gauges, the pool was seen full, and its CPU time never fell.
    assert_eq!(broken["server"]["pool"]["busy_peak"], 4);
    assert!(broken["server"]["cpu_us"].as_u64() > Some(0));

    let fixed = read(&runs[1]);
    assert_eq!(fixed["kubelet"]["restarts"], 0);
    assert_eq!(fixed["kubelet"]["kills"], serde_json::json!([]));
    assert!(fixed["kubelet"]["readiness"]["unready_us"].as_u64() > Some(0));
    assert!(fixed["phases"]["load"]["requests"]["predict"]["bad_status"].as_u64() > Some(0));
    assert_eq!(listened_on(&runs[1]).len(), 1);

    let schema = bench.schema();
    for summary in [&broken, &fixed] {
        let errors = schema_errors(&schema, summary);
        assert!(errors.is_empty(), "{errors:#?}");
    }
}

#[test]
fn an_expectation_of_restarts_fails_for_a_server_that_is_not_restarted_and_the_reverse() {
    let swapped = PREDICTIONS
        .replace("server = \"server-broken\"", "server = \"server-x\"")
        .replace("server = \"server-fixed\"", "server = \"server-broken\"")
        .replace("server = \"server-x\"", "server = \"server-fixed\"");
    let bench = Bench::new(&swapped);
    let output = bench.measure(&["run", "short.toml"]);
    let printed = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    for line in [
        "FAILED kubelet.restarts > 0 — measured 0",
        "FAILED requests.predict.lost > 0 — measured 0",
        "FAILED diagnosis == blocking_pool_exhausted — measured",
        "FAILED kubelet.restarts == 0 — measured",
        "FAILED kubelet.liveness_failed == 0 — measured",
        "FAILED requests.predict.lost == 0 — measured",
    ] {
        assert!(printed.contains(line), "{line}\n{printed}");
    }
}

#[test]
fn without_a_kubelet_nothing_is_known_of_restarts() {
    let text = PREDICTIONS.replace("hold = \"5s\"", "hold = \"1s\"");
    let from = text.find("[kubelet]").expect("there");
    let to = text.find("[probe]").expect("there");
    let text = format!("{}{}", &text[..from], &text[to..]);
    let bench = Bench::new(&text);
    let output = bench.run(&["run", "short.toml", "--variant", "fixed"]);
    assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
    let printed = stderr(&output);
    assert!(
        printed.contains("\"kubelet.restarts\" is no metric"),
        "{printed}"
    );
}

/// The one server of a run.
fn server(caught: &Caught) -> u32 {
    let of_server = left_in(caught.bench.path())
        .into_iter()
        .filter(|(_, name)| name == "server-fixed");
    let pids: Vec<_> = of_server.map(|(pid, _)| pid).collect();
    assert_eq!(pids.len(), 1, "one server at a time: {pids:?}");
    pids[0]
}

#[expect(clippy::disallowed_methods, reason = "a test without a runtime")]
fn sleep(time: Duration) {
    std::thread::sleep(time);
}

fn nothing_is_left(bench: &Bench, within: Duration, when: &str) {
    block_until(&format!("nothing is left {when}"), within, || {
        left_in(bench.path()).is_empty().then_some(())
    });
    let output = bench.run(&["stop"]);
    let printed = stdout(&output);
    assert!(
        printed.contains("nothing was left running"),
        "{when}: {printed}"
    );
}

fn read(run: &Path) -> Value {
    let text = std::fs::read_to_string(run.join("summary.json")).expect("summary");
    serde_json::from_str(&text).expect("JSON")
}

/// Where the server said that it listens, once for each of its processes.
fn listened_on(run: &Path) -> Vec<String> {
    let log = std::fs::read_to_string(run.join("cells/only/server.log")).expect("a log");
    let lines = log
        .lines()
        .filter_map(|line| line.strip_prefix("listening on "));
    lines.map(str::to_owned).collect()
}

#[test]
fn a_server_that_ends_by_itself_is_started_again_and_the_second_time_after_a_back_off() {
    let caught = Caught::in_the_hold(&quiet(), "fixed");
    let mut pid = server(&caught);
    for restarts in 1..=2 {
        signal(pid, Signal::KILL);
        caught.until("it is started again", |summary| {
            summary["kubelet"]["restarts"] == restarts
        });
        let next = server(&caught);
        assert_ne!(next, pid);
        pid = next;
    }
    let (bench, output) = caught.end(Signal::INT);
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    nothing_is_left(&bench, Duration::ZERO, "after two restarts");
    let summary = bench.summary("only").expect("saved");
    assert_eq!(summary["state"], "interrupted");
    let kills = summary["kubelet"]["kills"].as_array().expect("kills");
    for (kill, back_off_us) in kills.iter().zip([0, 1_000_000]) {
        assert_eq!(kill["cause"], "itself");
        assert_eq!(kill["back_off_us"], back_off_us);
        assert!(kill["down_us"].as_u64() >= Some(back_off_us), "{kill}");
    }
    assert_eq!(summary["server"]["pid"].as_u64(), Some(u64::from(pid)));
}

#[test]
fn a_frozen_server_is_killed_when_its_grace_is_over() {
    let text = quiet().replace(
        "time_scale = 0.1",
        "time_scale = 0.1\nterminationGracePeriodSeconds = 10",
    );
    let caught = Caught::in_the_hold(&text, "fixed");
    let frozen = server(&caught);
    signal(frozen, Signal::STOP);
    let summary = caught.until("it is restarted", |summary| {
        summary["kubelet"]["restarts"] == 1
    });
    let kill = &summary["kubelet"]["kills"][0];
    assert_eq!(
        (&kill["cause"], &kill["forced"]),
        (&"liveness".into(), &true.into())
    );
    let took = kill["took_us"].as_u64().expect("it was told to end");
    assert!((1_000_000..3_000_000).contains(&took), "{took}");
    assert!(started_ticks(frozen).is_none(), "it still runs");
    assert_ne!(server(&caught), frozen);
    let (bench, _) = caught.end(Signal::INT);
    nothing_is_left(&bench, Duration::ZERO, "after a forced end");
}

/// Does this for each at once: most of the time it waits.
fn for_each<T: Copy + Send + Sync>(all: &[T], act: impl Fn(T) + Sync) {
    std::thread::scope(|scope| {
        for &one in all {
            let act = &act;
            scope.spawn(move || act(one));
        }
    });
}

#[test]
fn a_run_that_ends_within_the_grace_period_leaves_nothing_behind() {
    // 30 s of grace, of which the lab waits for its own 3 s when it is interrupted.
    let text = quiet().replace(
        "time_scale = 0.1",
        "time_scale = 0.1\nterminationGracePeriodSeconds = 300",
    );
    for_each(&[Signal::INT, Signal::KILL], |end| {
        let caught = Caught::in_the_hold(&text, "fixed");
        signal(server(&caught), Signal::STOP);
        caught.until("it is told to end", |summary| {
            summary["kubelet"]["first_kill_us"].is_u64()
        });
        let asked = Instant::now();
        let (bench, _) = caught.end(end);
        assert!(asked.elapsed() < Duration::from_secs(15), "{end:?}");
        let when = format!("after {end:?} in the grace period");
        nothing_is_left(&bench, Duration::from_secs(5), &when);
    });
}

#[test]
fn a_run_that_ends_during_the_back_off_starts_nothing_more() {
    let text = quiet().replace("time_scale = 0.1", "time_scale = 1.0");
    for_each(&[Signal::INT, Signal::KILL], |end| {
        let caught = Caught::in_the_hold(&text, "fixed");
        signal(server(&caught), Signal::KILL);
        caught.until("it is started again", |summary| {
            summary["kubelet"]["restarts"] == 1
        });
        signal(server(&caught), Signal::KILL);
        caught.until("it is in back-off", |summary| {
            summary["kubelet"]["kills"][1]["back_off_us"] == 10_000_000
        });
        let (bench, _) = caught.end(end);
        let when = format!("after {end:?} in the back-off");
        nothing_is_left(&bench, Duration::from_secs(5), &when);
    });
}

#[test]
fn a_lab_that_is_killed_around_a_restart_leaves_nothing_behind() {
    for_each(&[0, 2, 5, 10, 30], |ms| {
        let caught = Caught::in_the_hold(&quiet(), "fixed");
        signal(server(&caught), Signal::KILL);
        sleep(Duration::from_millis(ms));
        let (bench, _) = caught.end(Signal::KILL);
        let when = format!("by a lab that was killed {ms} ms after its server");
        nothing_is_left(&bench, Duration::from_secs(5), &when);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_that_is_left_off_at_any_moment_leaves_no_process_and_no_record() {
    let folder = tempfile::tempdir().expect("a folder");
    let records = Records::below(folder.path());
    for ms in (0..40).step_by(2) {
        let ports = vec![
            Port::reserve().expect("a port"),
            Port::reserve().expect("a port"),
        ];
        let [listen, gauges] = [0, 1].map(|n: usize| ports[n].address().to_string());
        let spec = Spec {
            name: "server-fixed".to_owned(),
            args: ["--listen", &listen, "--gauges", &gauges]
                .map(str::to_owned)
                .to_vec(),
            announces: vec!["listening", "gauges"],
            log: folder.path().join("server.log"),
        };
        let mut pod = Pod::start(spec, ports, &records).await.expect("starts");
        let first = pod.pid().get().expect("it runs");
        assert_eq!(told_to_listen_on(&listen), [first]);
        pod.terminate(Duration::from_secs(5)).await;
        assert_eq!(pod.pid().get(), None);
        let restarted = tokio::time::timeout(Duration::from_millis(ms), pod.restart()).await;
        if restarted.is_ok() {
            assert!(pod.pid().get().is_some_and(|pid| pid != first));
        }
        drop(pod);
        eventually("every server has ended", || async {
            told_to_listen_on(&listen).is_empty()
        })
        .await;
        let left = std::fs::read_dir(folder.path().join(".processes")).expect("records");
        assert_eq!(left.count(), 0, "a record is left after {ms} ms");
    }
}

/// The processes that have this reserved address among their flags: those of one pod, whatever else
/// the test process has started. One that has ended has no flags any more.
fn told_to_listen_on(address: &str) -> Vec<u32> {
    let of_entry = |entry: std::fs::DirEntry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let flags = std::fs::read(entry.path().join("cmdline")).ok()?;
        let mut flags = flags.split(|byte| *byte == 0);
        flags.any(|flag| flag == address.as_bytes()).then_some(pid)
    };
    let entries = std::fs::read_dir("/proc").expect("/proc");
    entries.flatten().filter_map(of_entry).collect()
}

#[test]
fn a_kubelet_that_makes_no_sense_is_refused_before_the_run() {
    for (wrong, parts) in [
        (
            PREDICTIONS.replace("timeoutSeconds = 2 }\nr", "timeoutSecond = 2 }\nr"),
            vec!["unknown field `timeoutSecond`", "`timeoutSeconds`"],
        ),
        (
            PREDICTIONS.replace(
                "timeoutSeconds = 2 }\nr",
                "timeoutSeconds = 2, successThreshold = 2 }\nr",
            ),
            vec![
                "`kubelet.livenessProbe.successThreshold`",
                "of every liveness probe",
            ],
        ),
    ] {
        let bench = Bench::new(&wrong);
        let output = std::process::Command::new(LAB)
            .args(["run", "short.toml"])
            .current_dir(bench.lab(&[]).get_current_dir().expect("a folder"))
            .output()
            .expect("lab runs");
        let printed = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{printed}");
        for part in parts {
            assert!(printed.contains(part), "{part}\n{printed}");
        }
    }
}
