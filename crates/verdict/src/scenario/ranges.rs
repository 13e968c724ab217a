//! What a value of a scenario may be: loads are bounded in count and in time, whatever a file says.

use std::time::Duration;

/// The longest time that anything but a stream may take.
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// A value and whether it is one that can be run.
pub(crate) struct Range {
    /// Dotted key.
    pub key: String,
    /// Whether the value lies in it.
    pub fits: bool,
    /// What would.
    pub range: &'static str,
}

pub(crate) fn range(key: impl Into<String>, fits: bool, range: &'static str) -> Range {
    Range {
        key: key.into(),
        fits,
        range,
    }
}
