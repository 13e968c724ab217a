//! Services that are no part of the lab, in `tests/strangers`: five of those that need only python3.
//! `make strangers` runs all of them.

use std::path::Path;
use std::process::Command;

use crate::support::{LAB, has_python, stderr, stdout};
use testkit::Beside;

const RUN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/strangers/run");

/// Starts a service, runs `lab attach` on it, and compares the verdict with what services.json says.
#[track_caller]
fn is_right(run: &str) {
    if !has_python() {
        return;
    }
    let _beside = Beside::others();
    let output = Command::new("python3")
        .args([RUN, run])
        .env("BIN", Path::new(LAB).parent().expect("a folder"))
        .output()
        .expect("python3");
    let text = stdout(&output) + &stderr(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 right, 0 wrong"), "{text}");
}

#[test]
fn threads_for_each_request_are_a_limit_that_health_shares() {
    is_right("pool:natural");
}

#[test]
fn a_semaphore_in_front_of_every_route_is_no_blocked_loop() {
    is_right("around-everything:full");
}

#[test]
fn load_that_is_shed_with_the_health_check_in_it_is_no_blocked_loop() {
    is_right("sheds:natural");
}

#[test]
fn a_frozen_engine_fails_the_gate_though_health_is_fast() {
    is_right("frozen:gate");
}

#[test]
fn a_healthy_service_passes_the_gate() {
    is_right("healthy:gate");
}
