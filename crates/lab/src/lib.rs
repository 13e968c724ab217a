//! The driver of the thread-exhaustion lab: runs scenarios, measures open-loop, explains and compares.
//!
//! Data flows one way, and the folders say so: [`scenario`] says what to run, [`stage`] starts
//! processes, [`drive`] makes the load and plays the [`kubelet`], [`measure`] records, [`judge`] concludes without any I/O, and
//! [`show`] prints. [`run`] ties them together for the length of a run; [`commands`] are what a
//! person types.

pub mod commands;
pub mod drive;
pub mod exit;
pub mod http;
pub mod judge;
pub mod kubelet;
pub mod measure;
pub mod reach;
pub mod run;
pub mod scenario;
pub mod show;
pub mod stage;
pub mod summary;
pub mod units;
