//! `lab watch` in front of real servers: what it says, in which words, and with which exit code.

use crate::support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::fake::{Fake, TOKEN};
use support::{LAB, stderr, stdout};
use testkit::{Nobody, Signal, Stage, signal};

fn watch(stage: &Stage, flags: &[&str]) -> Command {
    watch_every("200ms", stage, flags)
}

fn watch_every(interval: &str, stage: &Stage, flags: &[&str]) -> Command {
    let mut command = Command::new(LAB);
    command
        .args(["watch", "--every", interval, "--sync-health"])
        .arg(stage.url("/debug/health-sync"))
        .arg("--async-health")
        .arg(stage.url("/debug/health-async"))
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

async fn run(mut command: Command) -> Output {
    let run = tokio::task::spawn_blocking(move || command.output());
    run.await.expect("joined").expect("lab runs")
}

/// The lines of JSON: ticks, and changes of the verdict.
fn lines(output: &Output) -> (Vec<Value>, Vec<Value>) {
    let text = stdout(output);
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .partition(|line: &Value| line["changed"].is_null())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_healthy_server_is_healthy_in_lines_of_80_columns() {
    let stage = Stage::start("server-fixed", &[]);
    let output = run(watch(&stage, &["--for", "3s"])).await;
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}{}", stderr(&output));
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    assert!(text.contains("15 ticks, 0 alerts"), "{text}");
    assert_eq!(text.matches("15 ok").count(), 2, "{text}");
    let last = text.lines().rfind(|line| line.contains('▁')).expect("bars");
    assert!(last.ends_with(" healthy"), "{text}");
    assert!(
        !text.contains('\u{1b}'),
        "no terminal, no redrawing: {text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_pool_is_named_and_no_check_waits_for_the_one_before() {
    let stage = Stage::start("server-broken", &["--pool-threads", "4"]);
    let streams = stage.hold_the_pool().await;
    let output = run(watch(&stage, &["--for", "3s", "--timeout", "2s", "--json"])).await;
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let (ticks, changes) = lines(&output);
    assert_eq!(ticks.len(), 15, "every tick that was due has its line");
    let mut due = Vec::new();
    for (tick, line) in ticks.iter().enumerate() {
        assert_eq!(line["tick"], tick);
        let verdict = &line["verdict"];
        assert_eq!(verdict["family"], "limit_shared_with_health", "{line}");
        assert_eq!(verdict["candidates"][0]["kind"], "blocking_pool_exhausted");
        assert_eq!(line["alert"], true);
        // Three checks wait; those that are due meanwhile are withheld, at the age of the oldest.
        let (outcome, least_us) = match tick {
            0..3 => ("timeout", 2_000_000),
            _ => ("withheld", 200_000 * tick as u64),
        };
        assert_eq!(line["sync"]["outcome"], outcome, "{line}");
        assert_eq!(line["sync"]["is_lower_bound"], true);
        assert!(line["sync"]["us"].as_u64() >= Some(least_us), "{line}");
        assert_eq!(line["async"]["outcome"], "ok", "{line}");
        assert!(line["async"]["us"].as_u64() < Some(500_000), "{line}");
        let at = humantime::parse_rfc3339(line["due"].as_str().expect("a time"));
        due.push(at.expect("a time"));
    }
    let took = due[14].duration_since(due[0]).expect("in order");
    assert_eq!(took.as_millis().abs_diff(14 * 200), 0, "by the plan");
    let change = changes.last().expect("a change");
    assert_eq!(change["verdict"]["family"], "limit_shared_with_health");
    assert_eq!(change["alert"], true);
    let changed = humantime::parse_rfc3339(change["changed"].as_str().expect("a time"));
    let told = changed.expect("a time").duration_since(due[0]);
    assert!(
        told.expect("after the start") < Duration::from_secs(2),
        "before a check timed out: {change}"
    );
    let summary = stderr(&output);
    assert!(summary.contains("15 ticks, 1 alert"), "{summary}");
    assert!(summary.contains("p50 ≥ "), "{summary}");
    assert!(summary.contains("3 timeout, 12 withheld"), "{summary}");
    drop(streams);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_verdict_follows_what_happens_and_an_alert_is_not_forgotten() {
    let stage = Stage::start("server-broken", &["--pool-threads", "4"]);
    let mut watching = watch(&stage, &["--timeout", "10s"]).spawn().expect("lab");
    let mut told = BufReader::new(watching.stdout.take().expect("piped")).lines();
    let mut until = |what: &str| {
        let found = told
            .by_ref()
            .map_while(Result::ok)
            .find(|line| line.contains(what));
        assert!(found.is_some(), "never: {what}");
    };
    tokio::task::block_in_place(|| until("now: healthy"));
    let streams = stage.hold_the_pool().await;
    tokio::task::block_in_place(|| until("ALERT: limit_shared_with_health"));
    drop(streams);
    tokio::task::block_in_place(|| until("now: healthy"));
    signal(watching.id(), Signal::INT);
    tokio::task::block_in_place(|| until("1 alert"));
    let code = watching.wait().expect("ended").code();
    assert_eq!(code, Some(1), "an alert fired, though all is well again");
}

/// The alerts that are told, each in one line.
fn alerts(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| line.contains(" ALERT: "))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_process_is_never_a_full_pool_and_is_one_alert() {
    for (offset, urls) in [(0, 2), (70, 2), (130, 3)] {
        let stage = Stage::start("server-fixed", &[]);
        let health = stage.url("/debug/health-async");
        let mut command = watch(&stage, &["--for", "5s", "--timeout", "1s"]);
        // A busy machine is slow for a moment. It takes no second.
        command.args(["--alert-above", "500ms"]);
        if urls == 3 {
            command.args(["--health", &health]);
        }
        let watching = command.spawn().expect("lab");
        tokio::time::sleep(Duration::from_millis(1_200 + offset)).await;
        stage.server.process.signal(Signal::STOP);
        tokio::time::sleep(Duration::from_millis(1_800)).await;
        stage.server.process.signal(Signal::CONT);
        let output = tokio::task::spawn_blocking(|| watching.wait_with_output()).await;
        let output = output.expect("joined").expect("ended");
        let text = stdout(&output);
        assert_eq!(output.status.code(), Some(1), "{text}{}", stderr(&output));
        let alerts = alerts(&text);
        assert_eq!(alerts.len(), 1, "{text}");
        assert!(alerts[0].contains("ALERT: undecided: "), "{text}");
        assert!(text.contains("25 ticks, 1 alert\n"), "{text}");
        for candidate in ["event_loop_blocked?", "cpu_saturated?", "bulkhead_full?"] {
            assert!(text.contains(candidate), "{text}");
        }
        assert!(!text.contains("limit_shared_with_health"), "{text}");
        assert!(text.contains("now: healthy"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_one_url_is_enough_and_three_fit_in_80_columns() {
    let stage = Stage::start("server-broken", &["--pool-threads", "4"]);
    let streams = stage.hold_the_pool().await;
    let (sync, loops) = (
        stage.url("/debug/health-sync"),
        stage.url("/debug/health-async"),
    );
    let watch = |flags: &[&str]| {
        let mut command = Command::new(LAB);
        command
            .args(["watch", "--every", "200ms", "--for", "2s"])
            .args(["--alert-above", "400ms"])
            .args(flags);
        run(command)
    };
    let (waits, fast, all) = tokio::join!(
        watch(&["--health", &sync]),
        watch(&["--async", &loops]),
        watch(&["--sync", &sync, "--async", &loops, "--health", &loops]),
    );
    let text = stdout(&waits);
    assert_eq!(waits.status.code(), Some(1), "{text}{}", stderr(&waits));
    assert!(text.contains("ALERT: undecided: health waits"), "{text}");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("(--async-health): it stays fast"), "{text}");
    let text = stdout(&fast);
    assert_eq!(fast.status.code(), Some(0), "{text}{}", stderr(&fast));
    assert!(text.contains("now: healthy"), "{text}");
    let text = stdout(&all);
    assert_eq!(alerts(&text).len(), 1, "{text}");
    assert!(text.contains("ALERT: limit_shared_with_health"), "{text}");
    for output in [waits, fast, all] {
        let text = stdout(&output);
        let fits = |line: &str| line.chars().count() <= 80;
        assert!(text.lines().all(fits), "{text}");
    }
    drop(streams);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_killed_refuses_and_its_checks_say_so() {
    let stage = Stage::start("server-fixed", &[]);
    let watching = watch(&stage, &["--for", "3s"]).spawn().expect("lab");
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    stage.server.process.signal(Signal::KILL);
    let output = tokio::task::spawn_blocking(|| watching.wait_with_output()).await;
    let output = output.expect("joined").expect("ended");
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}{}", stderr(&output));
    assert_eq!(alerts(&text).len(), 1, "{text}");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("the service is down, or out of reach"),
        "{text}"
    );
    assert!(words.contains("refused, refused"), "{text}");
    assert!(
        text.lines()
            .any(|line| line.contains(" refused ") && line.contains('×')),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_between_two_ticks_has_its_line() {
    let stage = Stage::start("server-fixed", &[]);
    let watching = watch_every("20ms", &stage, &["--for", "3s", "--json"]).spawn();
    let watching = watching.expect("lab");
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    stage.server.process.signal(Signal::STOP);
    tokio::time::sleep(Duration::from_millis(500)).await;
    stage.server.process.signal(Signal::CONT);
    let output = tokio::task::spawn_blocking(|| watching.wait_with_output()).await;
    let output = output.expect("joined").expect("ended");
    let (_, changes) = lines(&output);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let alerts = changes.iter().filter(|change| change["alert"] == true);
    assert!(alerts.count() > 0, "{changes:#?}");
    let last = changes.last().expect("changes");
    assert_eq!(last["verdict"]["family"], "healthy", "over again: {last}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_url_is_shown_by_its_status_and_is_no_full_pool() {
    let stage = Stage::start("server-fixed", &[]);
    let wrong = stage.url("/no/such/route");
    let watch = |flags: &[&str]| {
        let mut command = Command::new(LAB);
        command
            .args(["watch", "--every", "200ms", "--for", "2s"])
            .args(["--sync", &wrong, "--async"])
            .arg(stage.url("/debug/health-async"))
            .args(flags);
        run(command)
    };
    let (output, json) = tokio::join!(watch(&[]), watch(&["--json"]));
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}{}", stderr(&output));
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "ALERT: undecided: sync health answers 404: a wrong URL",
        "last checks 404, 404",
        "sync 10 answered 404",
    ] {
        assert!(words.contains(part), "{part} is not in {text}");
    }
    assert!(
        text.lines()
            .any(|line| line.contains(" 404 ") && line.contains("!!")),
        "{text}"
    );
    assert!(
        !text.contains("≥ 5") && !text.contains("limit_shared"),
        "{text}"
    );
    for line in lines(&json).0 {
        assert_eq!(line["sync"]["status"], 404, "{line}");
        assert_eq!(line["sync"]["outcome"], "bad_status", "{line}");
        assert_eq!(line["async"]["status"], 200, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_who_goes_away_ends_it() {
    let stage = Stage::start("server-fixed", &[]);
    let mut watching = watch(&stage, &["--json"]).spawn().expect("lab");
    let mut told = BufReader::new(watching.stdout.take().expect("piped"));
    let mut line = String::new();
    tokio::task::block_in_place(|| told.read_line(&mut line)).expect("a line");
    drop(told);
    let start = Instant::now();
    let code = loop {
        if let Some(status) = watching.try_wait().expect("known") {
            break status.code();
        }
        assert!(start.elapsed() < Duration::from_secs(10), "it goes on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(code, Some(0), "{line}");
}

#[test]
fn what_cannot_be_watched_is_told_in_one_sentence() {
    let port = Nobody::new();
    let nobody = port.url("/health");
    for (flags, code, parts) in [
        (
            vec!["--sync", &nobody, "--async", &nobody],
            4,
            ["cannot reach http://", "is the service running?"],
        ),
        (
            vec!["--sync", "ftp://h/", "--async", &nobody],
            2,
            [
                "--sync-health ftp://h/ is no URL to watch",
                "neither http nor https",
            ],
        ),
        (
            vec!["--sync", &nobody, "--async", "health"],
            2,
            [
                "--async-health health is no URL to watch",
                "http://HOST:PORT/PATH",
            ],
        ),
        (
            vec![
                "--sync",
                &nobody,
                "--async",
                &nobody,
                "--every",
                "10ms",
                "--timeout",
                "1m",
            ],
            2,
            ["--timeout 1m is more than", "would wait for their line"],
        ),
    ] {
        let output = Command::new(LAB).arg("watch").args(flags).output();
        let output = output.expect("lab runs");
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{message}");
        assert_eq!(message.lines().count(), 1, "one sentence: {message}");
        for part in parts {
            assert!(message.contains(part), "\"{part}\" is not in: {message}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_sent_and_no_secret_is_shown() {
    let fake = Fake::start().await;
    let secret = fake.url("/private/health?session=sesame-1");
    let with_password = secret.replace("http://", "http://me:sesame-2@");
    let watch = |flags: &[&str]| {
        let mut command = Command::new(LAB);
        command
            .args(["watch", "--every", "100ms", "--for", "500ms"])
            .args(["--sync", &secret, "--async", &with_password])
            .args(flags)
            .env("LAB_TEST_TOKEN", TOKEN);
        run(command)
    };
    let known = watch(&["--bearer-env", "LAB_TEST_TOKEN"]).await;
    let unknown = watch(&["--header", "x-secret: sesame-3"]).await;
    assert_eq!(known.status.code(), Some(0), "{}", stdout(&known));
    assert_eq!(unknown.status.code(), Some(1), "{}", stdout(&unknown));
    for output in [known, unknown] {
        let text = format!("{}{}", stdout(&output), stderr(&output));
        assert!(text.contains("/private/health?session=REDACTED"), "{text}");
        assert!(!text.contains("sesame"), "{text}");
    }
}
