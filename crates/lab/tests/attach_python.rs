//! A service in another language, started by a scenario's command line: `tests/support/python_service/app.py`
//! blocks a pool of threads, with the standard library alone.

use std::process::Command;
use std::time::Duration;

use crate::support::{Bench, has_python, stderr, stdout};
use lab::stage::Port;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use testkit::{Signal, eventually, schema_errors, signal};

const APP: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/support/python_service/app.py"
);

fn scenario(port: &Port, threads: u32, more: &str) -> String {
    let url = format!("http://{}", port.address());
    let port = port.address().port();
    format!(
        r#"
schema = 1
name = "python"
title = "A service in another language"
fail_if = ["health_async.p50 > 500ms"]

[target]
command = ["python3", "{APP}", "--port", "{port}", "--threads", "{threads}"]
stream = "{url}/stream?interval=0.05"
sync_health = "{url}/health-sync"
async_health = "{url}/health-async"
settle = "4s"
{more}

[probe]
rate = 50
timeout = "1s"

[phases]
baseline = "1s"
hold = "1s"
recovery = "4s"

[[cell]]
name = "only"
"#
    )
}

#[test]
fn its_pool_and_its_capacity_are_named() {
    if !has_python() {
        return;
    }
    let port = Port::reserve().expect("a port");
    let bench = Bench::new(&scenario(&port, 5, "find_capacity = true"));
    let output = bench.measure(&["run", "short.toml"]);
    let text = format!("{}\n{}", stdout(&output), stderr(&output));
    assert_eq!(output.status.code(), Some(0), "{text}");
    let summary = bench.summary("only").expect("saved");
    let diagnosis = &summary["diagnosis"];
    assert_eq!(
        diagnosis["kind"], "blocking_pool_exhausted",
        "{diagnosis:#}"
    );
    assert_eq!(diagnosis["inferred_capacity"], 5, "{diagnosis:#}");
    let errors = schema_errors(&bench.schema(), &summary);
    assert!(errors.is_empty(), "{errors:#?}");
    let compared = stdout(&bench.run(&["compare"]));
    assert!(compared.contains("python / 8 streams"), "{compared}");
}

/// What every client gets at once says nothing of whether it has a thread.
#[test]
fn a_greeting_is_not_taken_for_service() {
    if !has_python() {
        return;
    }
    let port = Port::reserve().expect("a port");
    let text = scenario(&port, 5, "");
    let text = text.replace("\"--threads\",", "\"--greeting\", \"--threads\",");
    let bench = Bench::new(&text.replace(
        "name = \"only\"",
        "name = \"only\"\nsteps = [{ name = \"8\", streams = 8 }, { name = \"16\", streams = 16 }]",
    ));
    let output = bench.measure(&["run", "short.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    let summary = bench.summary("only").expect("saved");
    let steps = summary["steps"].as_array().expect("steps");
    assert_eq!(steps[2]["served_at_once"], 16, "each has its greeting");
    let diagnosis = &summary["diagnosis"];
    assert_eq!(diagnosis["inferred_capacity"], 5, "{diagnosis:#}");
}

#[tokio::test]
async fn it_ends_with_the_lab_whatever_ends_the_lab() {
    if !has_python() {
        return;
    }
    let port = Port::reserve().expect("a port");
    let bench = Bench::new(&scenario(&port, 5, "").replace(
        "name = \"only\"",
        "name = \"only\"\nsteps = [{ name = \"8\", streams = 8 }]\nphases.hold = \"60s\"",
    ));
    let is_up = || async { tokio::net::TcpStream::connect(port.address()).await.is_ok() };
    for end in [Signal::KILL, Signal::INT] {
        let mut lab = bench
            .lab(&["run", "short.toml"])
            .spawn()
            .expect("lab starts");
        eventually("the service is up", is_up).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        signal(lab.id(), end);
        let _ = lab.wait();
        eventually("the service is gone", || async { !is_up().await }).await;
    }
}

#[test]
fn a_command_that_ends_at_once_is_said() {
    let port = Port::reserve().expect("a port");
    let text = scenario(&port, 5, "find_capacity = true");
    let bench = Bench::new(&text.replace("\"python3\",", "\"false\","));
    let output = bench.run(&["run", "short.toml"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(
        stderr(&output).contains("ended before it was ready"),
        "{}",
        stderr(&output)
    );
}

#[tokio::test]
async fn https_is_spoken_and_a_certificate_can_be_given() {
    if !has_python() {
        return;
    }
    let bench = Bench::new("");
    let mut params = CertificateParams::new([]).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = || KeyPair::generate().expect("a key");
    let root = CertifiedIssuer::self_signed(params, key()).expect("signed");
    let own_key = key();
    let own = CertificateParams::new(["127.0.0.1".to_owned()]).expect("an address");
    let own = own.signed_by(&own_key, &root).expect("signed");
    for (name, text) in [
        ("ca.pem", root.pem()),
        ("both.pem", own.pem() + &own_key.serialize_pem()),
        ("none.pem", "no certificate".to_owned()),
    ] {
        std::fs::write(bench.path().join(name), text).expect("written");
    }
    let port = Port::reserve().expect("a port");
    let number = port.address().port().to_string();
    let mut service = Command::new("python3")
        .args([APP, "--port", &number, "--certificate", "both.pem"])
        .current_dir(bench.path())
        .spawn()
        .expect("python starts");
    eventually("the service listens", || async {
        tokio::net::TcpStream::connect(port.address()).await.is_ok()
    })
    .await;
    let url = |path: &str| format!("https://{}{path}", port.address());
    let (stream, sync, r#async) = (url("/stream"), url("/health-sync"), url("/health-async"));
    let args = [
        "attach",
        "--stream",
        &stream,
        "--sync-health",
        &sync,
        "--async-health",
        &r#async,
        "--streams",
        "3",
        "--for",
        "500ms",
        "--baseline",
        "1s",
        "--settle",
        "2s",
    ];
    let watch = [
        "watch", "--sync", &sync, "--async", &r#async, "--every", "200ms", "--for", "1s",
    ];
    let trusting = ["--ca-certificate", "ca.pem"];
    let refused = [
        bench.run(&args),
        bench.run(&watch),
        bench.run(&[&watch[..], &["--ca-certificate", "none.pem"]].concat()),
    ];
    let watched = bench.run(&[&watch[..], &trusting].concat());
    let trusted = bench.measure(&[&args[..], &trusting].concat());
    service.kill().expect("killed");
    service.wait().expect("ended");
    for output in refused {
        assert_eq!(output.status.code(), Some(4), "{}", stdout(&output));
        assert!(
            stderr(&output).contains("certificate"),
            "{}",
            stderr(&output)
        );
    }
    assert_eq!(watched.status.code(), Some(0), "{}", stdout(&watched));
    assert_eq!(trusted.status.code(), Some(0), "{}", stdout(&trusted));
    let summary = bench.summary("attach").expect("saved");
    assert_eq!(summary["phases"]["load"]["streams"]["receiving_peak"], 3);
}
