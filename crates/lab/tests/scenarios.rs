//! Scenarios in their short form, for real: what is broken fails as it should, what is fixed does not,
//! and every expectation is one that can fail.

mod support;

use support::{Bench, SHORT, stderr, stdout};

fn scenario(name: &str) -> String {
    format!("{}/../../scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR"))
}

fn holds_and_can_fail(name: &str) {
    let bench = Bench::new(SHORT);
    let output = bench.run(&["scenarios", &scenario(name)]);
    let table = stdout(&output);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{table}\n{}",
        stderr(&output)
    );
    assert!(table.contains("Every expectation held."), "{table}");
    assert!(!table.contains("no run here fails it"), "{table}");
}

#[test]
fn liveness_kills_the_broken_server_and_spares_the_fixed_one() {
    holds_and_can_fail("liveness");
}

#[test]
fn disconnect_leaves_upstreams_open_for_nobody_unless_it_is_fixed() {
    holds_and_can_fail("disconnect");
}

#[test]
fn large_bodies_stall_the_worker_that_parses_them() {
    holds_and_can_fail("large-body");
}
