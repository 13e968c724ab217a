//! A run that would take a minute, caught in its hold.

use std::process::{Child, Output};
use std::time::Duration;

use serde_json::Value;
use testkit::{Signal, block_until, signal};

use super::Bench;

/// A lab in the hold of its run.
pub struct Caught {
    pub bench: Bench,
    pub lab: Child,
}

impl Caught {
    /// Runs this variant of this text until it is about a second into its hold.
    pub fn in_the_hold(text: &str, variant: &str) -> Self {
        let bench = Bench::new(text);
        let lab = bench
            .lab(&["run", "short.toml", "--variant", variant])
            .spawn()
            .expect("lab starts");
        let caught = Self { bench, lab };
        caught.until("it gets to its hold", |summary| {
            summary["phases"]["load"]["hold_us"].as_u64() > Some(900_000)
        });
        caught
    }

    /// Waits for what the summary tells, which is written each second.
    pub fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        block_until(what, Duration::from_secs(30), || {
            self.bench.summary("only").filter(&is_so)
        })
    }

    /// Sends the lab a signal and waits for its end.
    pub fn end(self, number: Signal) -> (Bench, Output) {
        signal(self.lab.id(), number);
        self.wait()
    }

    /// Waits for its end.
    pub fn wait(self) -> (Bench, Output) {
        let output = self.lab.wait_with_output().expect("lab ends");
        (self.bench, output)
    }
}
