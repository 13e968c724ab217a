//! The part of the lab that has no clock, no socket and no process: what to run ([`scenario`]), what was
//! measured ([`record`]), what a run leaves ([`summary`]), what theory says ([`forecast`]) and what
//! follows from both ([`judge`]). Each kind of [`load`] has a room of its own.

pub mod climb;
pub mod forecast;
pub mod frameworks;
pub mod judge;
pub mod load;
pub mod metrics;
mod names;
pub mod record;
pub mod redact;
pub mod scenario;
pub mod summarise;
pub mod summary;
pub mod units;

#[cfg(test)]
extern crate self as verdict;
#[cfg(test)]
#[path = "../tests/support/sample.rs"]
mod sample;
