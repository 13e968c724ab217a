use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::SMALL;

/// How long each phase of large bodies took, since the start of the process. Small ones are not
/// timed: they come by the hundred for each large one, and the figures would be theirs. Clones share
/// the figures.
#[derive(Clone, Debug, Default)]
pub struct Timings {
    named: Arc<Mutex<BTreeMap<&'static str, Histogram<u64>>>>,
}

/// One phase; times in microseconds, percentiles with three significant digits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Bodies that went through it.
    pub count: u64,
    /// Mean.
    pub mean_us: u64,
    /// Median.
    pub p50_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
    /// Longest.
    pub max_us: u64,
}

impl Timings {
    /// Counts a phase that took `took`.
    pub(super) fn record(&self, name: &'static str, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let mut named = self.lock();
        let histogram = named
            .entry(name)
            .or_insert_with(|| Histogram::new(3).expect("from 0 to 5 digits are possible"));
        // It grows as it must; only out of memory could it fail.
        let _ = histogram.record(micros);
    }

    /// Starts the phases of a body with that of its reading.
    #[must_use]
    pub fn start(&self) -> Phases {
        Phases {
            timings: self.clone(),
            since: Instant::now(),
            is_large: false,
        }
    }

    /// All phases now.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<&'static str, Timing> {
        let named = self.lock();
        named
            .iter()
            .map(|(name, histogram)| (*name, Timing::of(histogram)))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Histogram<u64>>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The phases of one body, which follow each other: the end of one is the start of the next.
#[derive(Debug)]
pub struct Phases {
    timings: Timings,
    since: Instant,
    is_large: bool,
}

impl Phases {
    /// Ends the phase of reading, which is when it is known whether the body, of `bytes`, is large.
    pub fn have_read(&mut self, name: &'static str, bytes: usize) {
        self.is_large = bytes > SMALL;
        self.ended(name);
    }

    /// Ends the phase that goes on and gives it its name.
    pub fn ended(&mut self, name: &'static str) {
        let now = Instant::now();
        if self.is_large {
            self.timings.record(name, now - self.since);
        }
        self.since = now;
    }

    /// Starts the phase that goes on anew: what went before belongs to none.
    pub fn restart(&mut self) {
        self.since = Instant::now();
    }
}

impl Timing {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a mean of microseconds is neither negative nor beyond u64"
    )]
    fn of(histogram: &Histogram<u64>) -> Self {
        Self {
            count: histogram.len(),
            mean_us: histogram.mean().round() as u64,
            p50_us: histogram.value_at_quantile(0.5),
            p99_us: histogram.value_at_quantile(0.99),
            max_us: histogram.max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_figures_of_its_own() {
        let timings = Timings::default();
        for micros in 1..=100 {
            timings.record("quick", Duration::from_micros(micros));
        }
        timings.record("slow", Duration::from_secs(1000));
        let snapshot = timings.snapshot();
        let quick = snapshot["quick"];
        assert_eq!(
            (
                quick.count,
                quick.mean_us,
                quick.p50_us,
                quick.p99_us,
                quick.max_us
            ),
            (100, 51, 50, 99, 100)
        );
        let slow = snapshot["slow"];
        assert_eq!(slow.count, 1);
        let seconds = slow.p50_us as f64 / 1e6;
        assert!((seconds - 1000.0).abs() < 1.0, "{slow:?}");
    }

    #[test]
    fn small_bodies_do_not_hide_the_large_ones() {
        let timings = Timings::default();
        for bytes in [10, SMALL, SMALL + 1] {
            let mut phases = timings.start();
            phases.have_read("reading", bytes);
            phases.ended("parsing");
        }
        let counts = timings.snapshot().into_iter();
        let counts: Vec<_> = counts.map(|(name, timing)| (name, timing.count)).collect();
        assert_eq!(counts, [("parsing", 1), ("reading", 1)]);
    }
}
