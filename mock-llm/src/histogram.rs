use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// A histogram of times, to which many tasks add.
#[derive(Debug)]
pub struct Times {
    histogram: Mutex<Histogram<u64>>,
}

/// The figures of a [`Times`], in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimesSummary {
    /// How many there are.
    pub count: u64,
    /// Mean.
    pub mean: u64,
    /// Median.
    pub p50: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    pub p999: u64,
    /// Maximum.
    pub max: u64,
}

/// The longest time that is told apart; longer ones count as this.
const HIGHEST_US: u64 = 3_600_000_000;

impl Default for Times {
    fn default() -> Self {
        let histogram =
            Histogram::new_with_bounds(1, HIGHEST_US, 3).expect("constant and valid bounds");
        Self {
            histogram: Mutex::new(histogram),
        }
    }
}

impl Times {
    /// Enters one.
    pub fn record(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(HIGHEST_US);
        self.with(|histogram| histogram.saturating_record(us));
    }

    /// The figures up to now.
    #[must_use]
    pub fn summary(&self) -> TimesSummary {
        self.with(|histogram| TimesSummary {
            count: histogram.len(),
            mean: rounded(histogram.mean()),
            p50: histogram.value_at_quantile(0.5),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        })
    }

    /// For each bound in microseconds, how many times were at most that long; then how many there were in
    /// all, and their sum in microseconds. All are of the same instant.
    #[must_use]
    pub fn cumulative(&self, bounds_us: &[u64]) -> (Vec<u64>, u64, u64) {
        self.with(|histogram| {
            let counts = bounds_us
                .iter()
                .map(|&bound| histogram.count_between(0, bound))
                .collect();
            let steps = histogram.iter_recorded();
            let sum = steps
                .map(|step| step.value_iterated_to() * step.count_at_value())
                .sum();
            (counts, histogram.len(), sum)
        })
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Histogram<u64>) -> T) -> T {
        use_it(
            &mut self
                .histogram
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

fn rounded(mean: f64) -> u64 {
    mean.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_histogram_is_all_zero() {
        assert_eq!(Times::default().summary(), TimesSummary::default());
    }

    #[test]
    fn one_long_time_in_a_hundred_shows_in_the_tail_only() {
        let times = Times::default();
        for _ in 0..99 {
            times.record(Duration::from_micros(100));
        }
        times.record(Duration::from_millis(50));
        let summary = times.summary();
        assert_eq!((summary.count, summary.p50), (100, 100));
        assert!(summary.max >= 50_000 && summary.max < 50_100, "{summary:?}");
        let (counts, count, sum) = times.cumulative(&[1_000, 100_000]);
        assert_eq!((counts, count), (vec![99, 100], 100));
        assert!(sum.abs_diff(59_900) < 100, "{sum}");
    }
}
