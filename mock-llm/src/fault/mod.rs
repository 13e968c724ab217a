//! Failures on purpose: their kinds, the requests that they befall, and how many are under way.

mod committed;
mod kind;
mod rule;

pub use committed::{ActiveFault, FaultTally, Faults};
pub use kind::{BadFault, Effect, Fault};
pub use rule::Rule;
