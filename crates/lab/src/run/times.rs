//! Times that every cell has, whatever its scenario says.

use std::time::Duration;

/// Time between making the clock and its start, in which the probe gets ready.
pub(super) const LEAD: Duration = Duration::from_millis(100);

/// Least time in recovery, unless its limit is shorter. With less, its figures would mean nothing.
pub(super) const LEAST_RECOVERY: Duration = Duration::from_secs(2);

/// How much later than its timeout a check's outcome may be known, because of the scheduler.
pub(super) const SPARE: Duration = Duration::from_secs(1);
