use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// Counts the faults that are committed, and bounds how many are under way at once.
#[derive(Debug, Default)]
pub struct Faults {
    active: Arc<AtomicU64>,
    active_peak: AtomicU64,
    committed: AtomicU64,
    withheld: AtomicU64,
}

/// The faults so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultTally {
    /// Answers under way that have a fault, whether its turn has come or not.
    pub active: u64,
    /// Most such answers at once.
    pub active_peak: u64,
    /// Answers that were given a fault.
    pub committed: u64,
    /// Answers that were spared by a cap.
    pub withheld: u64,
}

/// A fault that is under way until this is dropped.
#[derive(Debug)]
pub struct ActiveFault {
    active: Arc<AtomicU64>,
}

impl Faults {
    /// Begins a fault unless `cap` of them are under way.
    pub fn begin(&self, cap: Option<u64>) -> Option<ActiveFault> {
        let cap = cap.unwrap_or(u64::MAX);
        let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
        let before = self.active.fetch_update(success, failure, |active| {
            (active < cap).then(|| active + 1)
        });
        match before {
            Ok(before) => {
                self.active_peak.fetch_max(before + 1, Ordering::Relaxed);
                self.committed.fetch_add(1, Ordering::Relaxed);
                Some(ActiveFault {
                    active: Arc::clone(&self.active),
                })
            }
            Err(_) => {
                self.withheld.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }

    /// The counts now.
    #[must_use]
    pub fn tally(&self) -> FaultTally {
        FaultTally {
            active: self.active.load(Ordering::Relaxed),
            active_peak: self.active_peak.load(Ordering::Relaxed),
            committed: self.committed.load(Ordering::Relaxed),
            withheld: self.withheld.load(Ordering::Relaxed),
        }
    }
}

impl Drop for ActiveFault {
    fn drop(&mut self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_bounds_what_is_under_way_and_not_what_has_been() {
        let faults = Faults::default();
        let first = faults.begin(Some(1));
        assert!(first.is_some() && faults.begin(Some(1)).is_none());
        assert!(faults.begin(None).is_some(), "no cap, no bound");
        drop(first);
        assert!(faults.begin(Some(1)).is_some());
        let expected = FaultTally {
            active: 0,
            active_peak: 2,
            committed: 3,
            withheld: 1,
        };
        assert_eq!(faults.tally(), expected);
    }
}
