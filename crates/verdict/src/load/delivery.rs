use super::{Load, LoadRecorder};
use crate::summary::{Quality, Summary};
use crate::units::time;

/// The load may always be this late, in microseconds, because its async timer rounds to milliseconds.
pub(crate) const LATE_FLOOR_US: u64 = 20_000;

/// Share of what was to be sent that may go unsent, in percent.
pub(crate) const NOT_SENT_PERCENT: f64 = 1.0;

/// What the doubts look at: the planned load and what was recorded of it.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// What was measured.
    pub summary: &'a Summary,
    /// What was measured of the lab itself.
    pub quality: &'a Quality,
    /// The load, as the scenario has it.
    pub asked: &'a Load,
    /// The load, as it was recorded.
    pub recorded: &'a LoadRecorder,
}

/// A time in microseconds, for people.
pub(crate) fn shown(us: u64) -> String {
    time(us as f64)
}
