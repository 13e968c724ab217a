//! The driver of the thread-exhaustion lab: runs scenarios, measures open-loop, explains and compares.
//!
//! Here is what has a clock, a socket or a process. [`stage`] starts processes, [`load`] makes the load
//! and plays the kubelet, [`measure`] records, and [`show`] prints. [`run`] ties them together for the
//! length of a run; [`commands`] are what a person types. What to run and what follows from it is the
//! crate `verdict`.

pub mod commands;
pub mod exit;
pub mod http;
pub mod load;
pub mod measure;
pub mod reach;
pub mod run;
#[cfg(test)]
#[path = "../../verdict/tests/support/sample.rs"]
#[allow(dead_code, reason = "each crate takes what it needs")]
mod sample;
pub mod scenario_files;
pub mod show;
pub mod stage;
mod tls;
