//! Clients that hang up, at a stage of their stream that is planned for each.

pub(crate) mod forecast;
mod record;
mod spec;

pub use record::{HangUp, HangUpEnding, HangUpEvent, HangUpRecorder, ROW_ID, Release};
pub use spec::{HangUpStage, HangUps, Leave};
