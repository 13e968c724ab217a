//! What a closed-loop probe would have reported: the other half of the truth.

use std::collections::BTreeMap;

use super::{Outcome, Tick, Times};
use crate::summary::ClosedLoop;

/// How much longer than its timeout a check may take to be known, in microseconds.
const SPARE_US: u64 = 1_000_000;

/// Picks from the checks of one endpoint, in the order in which they were due, those that a probe with
/// one check in flight would have sent at the same rate: none before the last one had its outcome.
/// Failures drop out and latency counts from when a check was sent, as common tools have it (coordinated
/// omission).
///
/// Checks become known in the order of their outcomes. They are kept until every check that was due
/// before them must be known, and no longer.
#[derive(Clone, Debug)]
pub(crate) struct ClosedLoopProbe {
    settled_after_us: u64,
    /// By when each was due.
    pending: BTreeMap<u64, Tick>,
    /// When the check that it sent last had its outcome.
    free_at_us: u64,
    sent: u64,
    dropped: u64,
    service: Times,
}

impl ClosedLoopProbe {
    /// Of checks with this timeout.
    pub(crate) fn new(timeout_us: u64) -> Self {
        Self {
            settled_after_us: timeout_us + SPARE_US,
            pending: BTreeMap::new(),
            free_at_us: 0,
            sent: 0,
            dropped: 0,
            service: Times::default(),
        }
    }

    /// Takes in a check that has its outcome.
    pub(crate) fn add(&mut self, tick: Tick) {
        let was_sent = !matches!(tick.outcome, Outcome::NotSent | Outcome::Withheld);
        if was_sent && tick.sent_us >= self.free_at_us {
            self.pending.insert(tick.due_us, tick);
        }
        while let Some(next) = self.pending.first_entry() {
            if next.key() + self.settled_after_us > tick.done_us {
                break;
            }
            let next = next.remove();
            self.see(&next);
        }
    }

    /// Sends the check, unless the one before it is not answered yet.
    fn see(&mut self, tick: &Tick) {
        if tick.sent_us < self.free_at_us {
            return;
        }
        self.free_at_us = tick.done_us;
        self.sent += 1;
        if tick.outcome == Outcome::Ok {
            self.service.add(tick.done_us.saturating_sub(tick.sent_us));
        } else {
            self.dropped += 1;
        }
    }

    /// The figures of the checks that are known.
    pub(crate) fn figures(&self) -> ClosedLoop {
        let mut all = self.clone();
        for tick in self.pending.values() {
            all.see(tick);
        }
        ClosedLoop {
            sent: all.sent,
            dropped: all.dropped,
            service_us: all.service.figures(),
            ..ClosedLoop::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 checks a second for 10 s; from 4 s to 9 s the server does not answer and each times out.
    fn stalled() -> Vec<Tick> {
        let check = |n: u64| {
            let due_us = n * 10_000;
            let stalled = (4_000_000..9_000_000).contains(&due_us);
            let (outcome, took) = if stalled {
                (Outcome::Timeout, 5_000_000)
            } else {
                (Outcome::Ok, 1_000)
            };
            Tick {
                endpoint: 0,
                due_us,
                sent_us: due_us,
                done_us: due_us + took,
                outcome,
                status: None,
            }
        };
        (0..1_000).map(check).collect()
    }

    #[test]
    fn a_stall_that_hits_a_hundred_checks_shows_as_one_and_is_dropped() {
        let mut probe = ClosedLoopProbe::new(5_000_000);
        let mut ticks = stalled();
        ticks.sort_by_key(|tick| tick.done_us);
        for tick in ticks {
            probe.add(tick);
        }
        let seen = probe.figures();
        assert_eq!(seen.dropped, 1);
        assert_eq!(seen.sent, 501);
        assert!(seen.service_us.max.is_some_and(|max| max < 1_010));
    }

    #[test]
    fn an_hour_of_checks_is_kept_no_longer_than_they_are_undecided() {
        let mut probe = ClosedLoopProbe::new(5_000_000);
        for n in 0..360_000 {
            let due_us = n * 10_000;
            probe.add(Tick {
                endpoint: 0,
                due_us,
                sent_us: due_us,
                done_us: due_us + 1_000,
                outcome: Outcome::Ok,
                status: None,
            });
        }
        assert!(probe.pending.len() <= 601, "{}", probe.pending.len());
        assert_eq!(probe.figures().sent, 360_000);
    }
}
