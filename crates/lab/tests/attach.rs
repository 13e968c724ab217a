//! `lab attach` as a tool: who may be asked, what is kept secret, how it ends.

use std::time::{Duration, Instant};

use crate::support::fake::{Fake, TOKEN};
use crate::support::{Bench, short_attach as args, stderr, stdout};
use testkit::{Nobody, Signal, eventually, signal};

#[test]
fn a_public_address_is_refused_before_anything_is_sent() {
    let bench = Bench::new("");
    for address in ["8.8.8.8", "203.0.113.1", "[2001:db8::1]"] {
        let public = format!("http://{address}:9/x");
        let private = "http://127.0.0.1:9/x";
        for (stream, health) in [(public.as_str(), private), (private, public.as_str())] {
            let begun = Instant::now();
            let output = bench.run(&args(stream, health, &[]));
            assert_eq!(output.status.code(), Some(2));
            let text = stderr(&output);
            assert!(text.contains("--i-own-this-service"), "{text}");
            assert_eq!(text.trim().lines().count(), 1, "{text}");
            // A packet to such an address is not answered: it would have been waited for.
            assert!(begun.elapsed() < Duration::from_secs(2));
        }
    }
    assert!(bench.runs().is_empty());
}

#[test]
fn what_is_not_there_is_said_in_a_sentence() {
    let bench = Bench::new("");
    let nobody = Nobody::new();
    let (stream, health) = (nobody.url("/s"), nobody.url("/h"));
    let output = bench.run(&args(&stream, &health, &[]));
    assert_eq!(output.status.code(), Some(4));
    let text = stderr(&output);
    let expected = format!("cannot reach {health}");
    assert!(text.contains(&expected), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_at_the_start_is_said_and_not_measured() {
    let bench = Bench::new("");
    let fake = Fake::start().await;
    let health = fake.url("/health");
    for (path, status) in [("/lines", "401"), ("/nothing", "404")] {
        let begun = Instant::now();
        let output = bench.run(&args(&fake.url(path), &health, &[]));
        assert_eq!(output.status.code(), Some(4), "{}", stdout(&output));
        let text = stderr(&output);
        assert!(
            text.contains(&format!("is answered with {status}")),
            "{text}"
        );
        assert!(begun.elapsed() < Duration::from_secs(8));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_used_and_neither_printed_nor_saved() {
    let bench = Bench::new("");
    let fake = Fake::start().await;
    let (stream, health) = (fake.url("/lines?api_key=sesame-4711"), fake.url("/health"));
    let header = format!("Authorization: Bearer {TOKEN}");
    let ways: [&[&str]; 2] = [&["--bearer-env", "LAB_TEST_TOKEN"], &["--header", &header]];
    for way in ways {
        let output = bench
            .lab(&args(&stream, &health, way))
            .env("LAB_TEST_TOKEN", TOKEN)
            .output()
            .expect("lab runs");
        assert!(
            matches!(output.status.code(), Some(0 | 3)),
            "{}{}",
            stdout(&output),
            stderr(&output)
        );
        let summary = bench.summary("attach").expect("saved");
        // JSON lines count as chunks.
        let streams = &summary["phases"]["load"]["streams"];
        assert_eq!(streams["receiving_peak"], 4, "{streams:#}");
        assert!(streams["chunks"].as_u64() > Some(8), "{streams:#}");
        let printed = format!("{}{}", stdout(&output), stderr(&output));
        assert!(!printed.contains(TOKEN), "{printed}");
    }
    for entry in files_below(bench.path()) {
        let bytes = std::fs::read(&entry).expect("readable");
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(TOKEN), "the token is in {}", entry.display());
    }
}

fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        if entry.path().is_dir() {
            files.extend(files_below(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn as_a_gate_it_exits_with_1_and_says_what_broke_in_one_line() {
    let bench = Bench::new("");
    let fake = Fake::start().await;
    let header = format!("Authorization: Bearer {TOKEN}");
    let (stream, health) = (fake.url("/lines"), fake.url("/health"));
    let gate = |conditions: &[&str]| {
        let mut more = vec!["--header", header.as_str()];
        for condition in conditions {
            more.extend(["--fail-if", condition]);
        }
        bench.measure(&args(&stream, &health, &more))
    };
    let passed = gate(&[
        "health.p50 > 1s",
        "diagnosis != healthy",
        "steps.4.ttft.p99 > 2s",
    ]);
    assert_eq!(passed.status.code(), Some(0), "{}", stdout(&passed));
    let broken = gate(&["health.p50 > 1us"]);
    assert_eq!(broken.status.code(), Some(1), "{}", stdout(&broken));
    let text = stdout(&broken);
    let lines: Vec<_> = text
        .lines()
        .filter(|line| line.contains("FAILED"))
        .collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert!(lines[0].contains("health.p50"), "{text}");
    assert!(text.starts_with("At most 256 streams at once"), "{text}");
    let checks = "5 checks a second of each health URL, at most 3 of them in flight.";
    assert!(text.contains(checks), "{text}");
    assert!(text.contains("The lab's checks were "), "{text}");
    let summary = bench.summary("attach").expect("saved");
    assert!(summary["phases"]["baseline"]["probes"]["health"]["due"].as_u64() <= Some(6));
    let share = summary["attach"]["checks_percent"].as_f64();
    assert!(share > Some(0.0) && share < Some(100.0), "{share:?}");
    let often = bench.run(&args(&stream, &health, &["--check-rate", "51"]));
    assert_eq!(often.status.code(), Some(2), "{}", stderr(&often));
    let unknown = bench.run(&args(&stream, &health, &["--fail-if", "healht.p50 > 1s"]));
    assert_eq!(unknown.status.code(), Some(2), "{}", stderr(&unknown));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_does_not_pass_on_load_that_there_was_no_time_for() {
    let bench = Bench::new("");
    let fake = Fake::start().await;
    let header = format!("Authorization: Bearer {TOKEN}");
    let (stream, health) = (fake.url("/lines"), fake.url("/health"));
    let mut all = args(&stream, &health, &["--header", &header]);
    all.retain(|arg| !["--for", "500ms"].contains(arg));
    all.extend(["--for", "2s", "--max-time", "9s"]);
    all.extend(["--fail-if", "diagnosis != healthy"]);
    let output = bench.run(&all);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        text.contains("the step of 4 streams was not begun"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_closes_every_stream_and_what_was_measured_is_saved() {
    let bench = Bench::new("");
    let fake = Fake::start().await;
    let header = format!("Authorization: Bearer {TOKEN}");
    let (stream, health) = (fake.url("/lines"), fake.url("/health"));
    let more = ["--header", &header, "--for", "60s"];
    let mut all = args(&stream, &health, &[]);
    all.retain(|arg| !["--for", "500ms"].contains(arg));
    all.extend(more);
    let mut lab = bench.lab(&all).spawn().expect("lab starts");
    // A stream is open in the look before the run, too.
    eventually("a stream of the run is open", || async {
        fake.open() > 0 && bench.summary("attach").is_some()
    })
    .await;
    signal(lab.id(), Signal::INT);
    let status = lab.wait().expect("ended");
    assert_eq!(status.code(), Some(130));
    eventually("all streams are closed", || async { fake.open() == 0 }).await;
    let summary = bench.summary("attach").expect("saved");
    assert_eq!(summary["state"], "interrupted");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_goes_to_every_url_of_the_streams_host_and_to_no_other() {
    let bench = Bench::new("");
    let (fake, other) = (Fake::start().await, Fake::start().await);
    let stream = fake.url("/lines");
    let (health, stats) = (fake.url("/private/health"), fake.url("/private/stats"));
    let token = ["--bearer-env", "LAB_TEST_TOKEN"];
    let told = [&token[..], &["--upstream-stats", &stats]].concat();
    let run = |arguments: &[&str]| {
        let mut lab = bench.lab(arguments);
        lab.env("LAB_TEST_TOKEN", TOKEN).output().expect("lab runs")
    };
    let known = run(&args(&stream, &health, &told));
    let text = format!("{}{}", stdout(&known), stderr(&known));
    assert!(matches!(known.status.code(), Some(0 | 3)), "{text}");
    let summary = bench.summary("attach").expect("saved");
    assert_eq!(summary["phases"]["load"]["streams"]["served_peak"], 4);

    let elsewhere = other.url("/private/health");
    for (arguments, remedy) in [
        (args(&stream, &health, &[]), "by --bearer-env or --header"),
        (
            args(&stream, &elsewhere, &token),
            "to the stream's host and port only",
        ),
    ] {
        let refused = run(&arguments);
        assert_eq!(refused.status.code(), Some(4), "{}", stdout(&refused));
        assert!(stderr(&refused).contains(remedy), "{}", stderr(&refused));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_does_not_tell_is_said_before_anything_is_measured() {
    let bench = Bench::new("");
    let fake = Fake::start().await;
    let (stream, health) = (fake.url("/events"), fake.url("/health"));
    for (path, problem) in [
        ("/stats#/streams/open", "there is nothing at /streams/open"),
        ("/stats#/name", "at /name of"),
        ("/health", "is no JSON document"),
        ("/nothing", "is answered with 404"),
    ] {
        let stats = fake.url(path);
        let output = bench.run(&args(&stream, &health, &["--upstream-stats", &stats]));
        assert_eq!(output.status.code(), Some(4), "{path}: {}", stdout(&output));
        let text = stderr(&output);
        assert!(text.contains("--upstream-stats"), "{path}: {text}");
        assert!(text.contains(problem), "{path}: {text}");
    }
    assert_eq!(fake.open(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_any_shape_are_a_stream() {
    let bench = Bench::new("");
    let fake = Fake::start().await;
    let output = bench.measure(&args(&fake.url("/events"), &fake.url("/health"), &[]));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let summary = bench.summary("attach").expect("saved");
    let streams = &summary["phases"]["load"]["streams"];
    assert_eq!(streams["receiving_peak"], 4, "{streams:#}");
    assert_eq!(summary["diagnosis"]["kind"], "healthy");
}
