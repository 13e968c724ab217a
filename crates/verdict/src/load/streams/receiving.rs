use std::collections::BTreeMap;

use crate::record::Window;

/// When streams began to receive chunks, and when they ended.
///
/// The changes in order of time tell how many received at once. They are reported a little out of order,
/// so the latest are kept as they are. Older ones are summed up: for how long which number of streams
/// received.
#[derive(Clone, Debug, Default)]
pub struct Receiving {
    now: u64,
    peak: u64,
    /// How many were receiving before the first of `changes`, and since when.
    level: u64,
    since_us: u64,
    /// For each number of streams, how long in the hold it was so before that, in microseconds.
    time_at: BTreeMap<u64, u64>,
    /// When one more began to receive, or one ended.
    changes: Vec<(u64, bool)>,
}

/// How many changes are kept before the older half of them is summed up. It is enough, because a late
/// report is late by only milliseconds.
const KEPT: usize = 8_192;

impl Receiving {
    /// A stream began to receive; when, if that is known.
    pub(super) fn begins(&mut self, at_us: Option<u64>, window: Window) {
        self.now += 1;
        self.peak = self.peak.max(self.now);
        if let Some(at_us) = at_us {
            self.change(at_us, true, window);
        }
    }

    /// A stream that was receiving ended.
    pub(super) fn ends(&mut self, at_us: u64, window: Window) {
        self.now = self.now.saturating_sub(1);
        self.change(at_us, false, window);
    }

    fn change(&mut self, at_us: u64, begins: bool, window: Window) {
        self.changes.push((at_us, begins));
        if self.changes.len() >= KEPT {
            self.changes.sort_unstable();
            for (at_us, begins) in self.changes.drain(..KEPT / 2).collect::<Vec<_>>() {
                self.pass(at_us, begins, (window.hold_us, window.end_us));
            }
        }
    }

    /// Sums up what was until a change.
    fn pass(&mut self, at_us: u64, begins: bool, (start_us, end_us): (u64, u64)) {
        let span = at_us
            .min(end_us)
            .saturating_sub(self.since_us.max(start_us));
        *self.time_at.entry(self.level).or_default() += span;
        self.since_us = at_us;
        self.level = match begins {
            true => self.level + 1,
            false => self.level.saturating_sub(1),
        };
    }

    /// The same for what comes now. Streams that receive go on.
    pub(super) fn go_on(&self) -> Self {
        Self {
            now: self.now,
            peak: self.now,
            level: self.now,
            ..Self::default()
        }
    }

    /// How many receive now.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now
    }

    /// The most that received at one time.
    #[must_use]
    pub fn peak(&self) -> u64 {
        self.peak
    }

    /// The most that received at once for a twentieth of a hold in all. An end is seen a moment later than
    /// the next beginning, so a mere peak can be one too high.
    ///
    /// Each counts from `lead_us` before its first chunk on. With the time that one stream alone takes to its
    /// first chunk, that is since when it has been worked on. Who will get a chunk within that time after the
    /// hold is not known yet, so the end of the hold is left out.
    #[must_use]
    pub fn held(&self, (start_us, end_us): (u64, u64), lead_us: u64) -> u64 {
        let until_us = end_us
            .saturating_sub(lead_us)
            .max(start_us + (end_us - start_us) / 4);
        let enough = until_us.saturating_sub(start_us) / 20;
        let mut above = 0;
        for (level, time) in self
            .time_at((start_us, until_us), lead_us)
            .into_iter()
            .rev()
        {
            above += time;
            if above > enough {
                return level;
            }
        }
        0
    }

    /// For how long streams were receiving in a hold, summed over all streams, in microseconds.
    #[must_use]
    pub fn stream_us(&self, hold: (u64, u64)) -> u64 {
        let times = self.time_at(hold, 0).into_iter();
        times.map(|(level, time)| level * time).sum()
    }

    /// For each number of streams, how long in a hold it was so, in microseconds.
    fn time_at(&self, hold: (u64, u64), lead_us: u64) -> BTreeMap<u64, u64> {
        let mut all = self.clone();
        let mut changes = std::mem::take(&mut all.changes);
        for (at_us, begins) in &mut changes {
            if *begins {
                *at_us = at_us.saturating_sub(lead_us);
            }
        }
        changes.sort_unstable();
        for (at_us, begins) in changes.into_iter().chain([(u64::MAX, true)]) {
            all.pass(at_us, begins, hold);
        }
        all.time_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window {
        start_us: 0,
        hold_us: 0,
        end_us: u64::MAX,
    };

    /// Four slots in which each stream takes 100 ms. The end of one is seen 1.5 ms after the change,
    /// the first chunk of the next 1 ms after it.
    fn slots(turns: u64) -> Receiving {
        let mut receiving = Receiving::default();
        for n in 0..4 * turns {
            let turn_us = n / 4 * 100_000;
            receiving.begins(Some(turn_us + 1_000), WINDOW);
            if n >= 4 {
                receiving.ends(turn_us + 1_500, WINDOW);
            }
        }
        receiving
    }

    #[test]
    fn who_is_replaced_at_once_does_not_make_one_more_that_is_served() {
        let receiving = slots(10);
        assert!(receiving.peak() > 4);
        assert_eq!(receiving.held((0, 1_000_000), 0), 4);
        assert_eq!(receiving.go_on().held((1_000_000, 2_000_000), 0), 4);
    }

    #[test]
    fn an_hour_of_short_streams_is_summed_up() {
        let receiving = slots(36_000);
        assert!(
            receiving.changes.len() <= KEPT,
            "{}",
            receiving.changes.len()
        );
        assert_eq!(receiving.held((0, 3_600_000_000), 0), 4);
    }
}
