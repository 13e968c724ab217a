//! A service in another language, started by a scenario's command line: `tests/support/python_service/app.py`
//! blocks a pool of threads, with the standard library alone.

use std::process::Command;
use std::time::Duration;

use crate::support::{Bench, eventually, stderr, stdout};
use lab::stage::Port;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const APP: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/support/python_service/app.py"
);

fn has(program: &str) -> bool {
    let version = if program == "openssl" {
        "version"
    } else {
        "--version"
    };
    let has = Command::new(program).arg(version).output();
    let has = has.is_ok_and(|output| output.status.success());
    if !has {
        println!("skipped: there is no {program} on this machine");
    }
    has
}

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
    if !has("python3") {
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
    let schema = bench.run(&["schema"]);
    let schema: Value = serde_json::from_slice(&schema.stdout).expect("a schema");
    let validator = jsonschema::validator_for(&schema).expect("valid");
    assert!(validator.is_valid(&summary));
    let compared = stdout(&bench.run(&["compare"]));
    assert!(compared.contains("python / 8 streams"), "{compared}");
}

#[tokio::test]
async fn it_ends_with_the_lab_whatever_ends_the_lab() {
    if !has("python3") {
        return;
    }
    let port = Port::reserve().expect("a port");
    let bench = Bench::new(&scenario(&port, 5, "").replace(
        "name = \"only\"",
        "name = \"only\"\nsteps = [{ name = \"8\", streams = 8 }]\nphases.hold = \"60s\"",
    ));
    let is_up = || async { tokio::net::TcpStream::connect(port.address()).await.is_ok() };
    for signal in [Signal::KILL, Signal::INT] {
        let mut lab = bench
            .lab(&["run", "short.toml"])
            .spawn()
            .expect("lab starts");
        eventually("the service is up", is_up).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let pid = i32::try_from(lab.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a pid");
        kill_process(pid, signal).expect("signalled");
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
    if !has("python3") || !has("openssl") {
        return;
    }
    let bench = Bench::new("");
    let run = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        let output = command.args(args).current_dir(bench.path()).output();
        let output = output.expect("it runs");
        assert!(output.status.success(), "{}", stderr(&output));
    };
    let key = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"];
    run(
        "openssl",
        &[
            &["req", "-x509"],
            &key[..],
            &["/CN=test CA", "-keyout", "ca.key", "-out", "ca.pem"],
        ]
        .concat(),
    );
    run(
        "openssl",
        &[
            &["req"],
            &key[..],
            &["/CN=127.0.0.1", "-keyout", "own.key", "-out", "own.csr"],
        ]
        .concat(),
    );
    std::fs::write(bench.path().join("own.ext"), "subjectAltName=IP:127.0.0.1").expect("written");
    run(
        "openssl",
        &[
            "x509",
            "-req",
            "-in",
            "own.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "own.ext",
            "-out",
            "own.pem",
        ],
    );
    let both = ["own.pem", "own.key"]
        .map(|name| std::fs::read_to_string(bench.path().join(name)).expect("made"));
    std::fs::write(bench.path().join("both.pem"), both.concat()).expect("written");
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
    let untrusted = bench.run(&args);
    let trusted = bench.measure(&[&args[..], &["--ca-certificate", "ca.pem"]].concat());
    service.kill().expect("killed");
    service.wait().expect("ended");
    assert_eq!(untrusted.status.code(), Some(4));
    assert!(
        stderr(&untrusted).contains("certificate"),
        "{}",
        stderr(&untrusted)
    );
    assert_eq!(trusted.status.code(), Some(0), "{}", stdout(&trusted));
    let summary = bench.summary("attach").expect("saved");
    assert_eq!(summary["phases"]["load"]["streams"]["receiving_peak"], 3);
}
