//! Times that every cell has, whatever its scenario says.

use std::time::Duration;

/// Time from the making of the clock to its start, for the probe to get ready.
pub(super) const LEAD: Duration = Duration::from_millis(100);

/// Least time in recovery, so that its figures mean something, unless its limit is shorter.
pub(super) const LEAST_RECOVERY: Duration = Duration::from_secs(2);

/// How much longer than its timeout a check may take to be known: the scheduler may add to it.
pub(super) const SPARE: Duration = Duration::from_secs(1);
