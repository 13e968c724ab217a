//! The verdict of `lab watch` at one moment.

use super::diagnosis::diagnose_looks;
use crate::record::Look;
use crate::summary::{Diagnosis, Family};

/// The verdict on a service at one moment.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The same words as for a cell.
    pub diagnosis: Diagnosis,
    /// Whether a URL is in trouble: two of its last three checks took longer than the limit, or failed.
    pub alert: bool,
}

impl Verdict {
    /// Why, in one sentence.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.diagnosis.evidence.first().map(String::as_str)
    }
}

/// Judges the latest checks of each URL, given from the oldest on. A check in flight counts once it is older
/// than `alert_above_us`.
#[must_use]
pub fn verdict(sync: &[Look], asynchronous: &[Look], alert_above_us: u64) -> Verdict {
    let urls = [("health_sync", sync), ("health_async", asynchronous)];
    let diagnosis = diagnose_looks(&urls, alert_above_us);
    let alert = diagnosis.family != Family::Healthy;
    Verdict { diagnosis, alert }
}
