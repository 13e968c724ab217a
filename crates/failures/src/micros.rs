use std::time::Duration;

/// Whole microseconds, saturating (584 thousand years).
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
