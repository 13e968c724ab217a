//! The verdict of `lab watch` at one moment.

use super::rules;
use super::signs::{Health, of_looks};
use crate::record::Look;
use crate::summary::Diagnosis;

/// The verdict on a service at one moment.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The same words as for a cell.
    pub diagnosis: Diagnosis,
    /// Whether a URL is in trouble, or cannot be asked.
    pub alert: bool,
}

impl Verdict {
    /// Why, in one sentence without figures.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.diagnosis.evidence.first().map(String::as_str)
    }

    /// Whether it says the same: its figures do not count.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.diagnosis.family == other.diagnosis.family
            && self.alert == other.alert
            && self.reason() == other.reason()
    }
}

/// Judges URLs by their names (`health`, `health_sync`, `health_async`) and their latest checks, from the oldest
/// on. A check in flight counts once it is older than `alert_above_us`. `None` while the checks do not say how
/// the URLs compare: then what was said before holds.
#[must_use]
pub fn verdict(urls: &[(&str, &[Look])], alert_above_us: u64) -> Option<Verdict> {
    let signs = of_looks(urls, alert_above_us)?;
    let mut health = signs.steps.iter().flat_map(|step| &step.health);
    let alert = signs.generator.is_some() || health.any(Health::is_bad);
    let diagnosis = rules::verdict(&signs);
    Some(Verdict { diagnosis, alert })
}

#[cfg(test)]
mod tests;
