use hdrhistogram::Histogram;

use crate::summary::{Distribution, Lateness};

/// Which part of a histogram holds lower bounds instead of values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Censored<'a> {
    /// None.
    Nothing,
    /// Every rank above this one: the values below are exact, and none of them is larger.
    AboveRank(u64),
    /// Every value from this one on: a lower bound may stand among exact values, so that whatever is
    /// at or above the smallest of them can only be called "at least".
    FromValue(u64),
    /// Lower bounds may stand anywhere. With them left at their bound a figure is too low, with them
    /// beyond everything it is too high; where the two agree within 5 %, it is a value.
    Between {
        /// Ranks up to this one of `upper` are values.
        exact: u64,
        /// The histogram without the lower bounds.
        upper: &'a Histogram<u64>,
    },
}

/// Times in microseconds, as a histogram with 3 significant digits that takes every value.
#[derive(Clone, Debug)]
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        // Three digits are always valid.
        let mut histogram =
            Histogram::new(3).unwrap_or_else(|_| unreachable!("3 significant digits are valid"));
        histogram.auto(true);
        Self(histogram)
    }
}

impl std::ops::Deref for Times {
    type Target = Histogram<u64>;

    fn deref(&self) -> &Histogram<u64> {
        &self.0
    }
}

impl Times {
    /// Adds one, however long: the histogram grows.
    pub fn add(&mut self, us: u64) {
        // Fails only where memory for a larger histogram could not even be addressed.
        let _ = self.0.record(us);
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        // Fails only where memory for a larger histogram could not even be addressed.
        let _ = self.0.add(&other.0);
    }

    /// The figures, none of which is a lower bound.
    #[must_use]
    pub fn figures(&self) -> Distribution {
        self.censored(Censored::Nothing)
    }

    /// The figures of times that say how late something was.
    #[must_use]
    pub fn lateness(&self) -> Lateness {
        Lateness {
            count: self.len(),
            p50: self.value_at_quantile(0.50),
            p99: self.value_at_quantile(0.99),
            max: self.max(),
        }
    }

    /// The figures, with what is censored marked.
    #[must_use]
    pub fn censored(&self, censored: Censored<'_>) -> Distribution {
        distribution(&self.0, censored)
    }
}

fn distribution(histogram: &Histogram<u64>, censored: Censored<'_>) -> Distribution {
    let count = histogram.len();
    if count == 0 {
        return Distribution::default();
    }
    let at = |quantile: f64| {
        let value = histogram.value_at_quantile(quantile).min(histogram.max());
        let rank = ((quantile * count as f64).ceil() as u64).clamp(1, count);
        let is_bound = match censored {
            Censored::Nothing => false,
            Censored::AboveRank(exact) => rank > exact,
            Censored::FromValue(smallest) => value >= smallest,
            Censored::Between { exact, upper } => {
                rank > exact || value_at_rank(upper, rank) as f64 > 1.05 * value as f64
            }
        };
        (Some(value), is_bound)
    };
    let (p50, p50_censored) = at(0.50);
    let (p90, p90_censored) = at(0.90);
    let (p95, p95_censored) = at(0.95);
    let (p99, p99_censored) = at(0.99);
    let (p999, p999_censored) = at(0.999);
    let (max, max_censored) = at(1.0);
    Distribution {
        count,
        min: Some(histogram.min()),
        mean: Some(histogram.mean().round() as u64),
        p50,
        p90,
        p95,
        p99,
        p999,
        max,
        p50_censored,
        p90_censored,
        p95_censored,
        p99_censored,
        p999_censored,
        max_censored,
    }
}

/// The value that has this rank, from 1, among all of `histogram`.
fn value_at_rank(histogram: &Histogram<u64>, rank: u64) -> u64 {
    // Half a rank less, so that no rounding leads to the rank above.
    histogram.value_at_quantile((rank as f64 - 0.5) / histogram.len().max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_in_the_failed_mass_is_censored_and_one_below_is_not() {
        let mut all = Times::default();
        for n in 0..100 {
            all.add(if n < 90 { 1_000 } else { 5_000_000 });
        }
        let figures = all.censored(Censored::AboveRank(90));
        assert_eq!((figures.p50_censored, figures.p90_censored), (false, false));
        assert_eq!(
            (
                figures.p95_censored,
                figures.p99_censored,
                figures.max_censored
            ),
            (true, true, true)
        );
        assert!(figures.p90.is_some_and(|p90| p90 < 1_010));
        assert!(figures.p95.is_some_and(|p95| p95 >= 5_000_000));
    }

    #[test]
    fn nothing_measured_is_not_zero() {
        let figures = Times::default().figures();
        assert_eq!((figures.count, figures.p99, figures.max), (0, None, None));
    }
}
