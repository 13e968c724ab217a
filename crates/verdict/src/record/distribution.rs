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
        /// The times without the lower bounds.
        upper: &'a Times,
    },
}

/// Times in microseconds, counted with three significant digits. Times that have these digits in common
/// are one: exact below 2,048 µs, within a thousandth above. Only what occurred takes memory, so that
/// copies are cheap and figures can be asked for often.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Times {
    /// Least of the times that are one, and how many there are of it, in order.
    counts: Vec<(u64, u64)>,
    len: u64,
}

/// From here on times are counted in pairs, from twice as much on in fours, and so on.
const EXACT_US: u64 = 2_048;

/// How many times are one with `us`, as a power of two.
fn shift(us: u64) -> u32 {
    (us / EXACT_US).checked_ilog2().map_or(0, |bits| bits + 1)
}

impl Times {
    /// Adds one, however long.
    pub fn add(&mut self, us: u64) {
        self.add_some(Self::lowest_equivalent(us), 1);
    }

    fn add_some(&mut self, least: u64, count: u64) {
        match self.counts.binary_search_by_key(&least, |&(us, _)| us) {
            Ok(at) => self.counts[at].1 += count,
            Err(at) => self.counts.insert(at, (least, count)),
        }
        self.len += count;
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        for &(least, count) in &other.counts {
            self.add_some(least, count);
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The least time that is one with `us`.
    #[must_use]
    pub fn lowest_equivalent(us: u64) -> u64 {
        us >> shift(us) << shift(us)
    }

    /// The longest; 0 if there is none.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.counts.last().map_or(0, |&(least, _)| highest(least))
    }

    /// Each least time that occurred, and how often, in order.
    pub fn counts(&self) -> impl Iterator<Item = (u64, u64)> {
        self.counts.iter().copied()
    }

    /// The time below which this share of them lies; 0 if there are none.
    #[must_use]
    pub fn value_at_quantile(&self, quantile: f64) -> u64 {
        self.at_rank(rank_of(quantile, self.len))
    }

    /// The time of this rank, from 1; 0 if there are none.
    fn at_rank(&self, rank: u64) -> u64 {
        let mut until = 0;
        let mut counts = self.counts.iter();
        let found = counts.find(|&&(_, count)| {
            until += count;
            until >= rank
        });
        found.map_or(0, |&(least, _)| highest(least))
    }

    fn mean(&self) -> f64 {
        let each = self.counts.iter().map(|&(least, count)| {
            let middle = least + ((1 << shift(least)) >> 1);
            middle as f64 * count as f64 / self.len as f64
        });
        each.sum()
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
            count: self.len,
            p50: self.value_at_quantile(0.50),
            p99: self.value_at_quantile(0.99),
            max: self.max(),
        }
    }

    /// The figures, with what is censored marked.
    #[must_use]
    pub fn censored(&self, censored: Censored<'_>) -> Distribution {
        let count = self.len;
        if count == 0 {
            return Distribution::default();
        }
        let at = |quantile: f64| {
            let rank = rank_of(quantile, count);
            let value = self.at_rank(rank);
            let is_bound = match censored {
                Censored::Nothing => false,
                Censored::AboveRank(exact) => rank > exact,
                Censored::FromValue(smallest) => value >= smallest,
                Censored::Between { exact, upper } => {
                    rank > exact || upper.at_rank(rank.min(upper.len)) as f64 > 1.05 * value as f64
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
            min: self.counts.first().map(|&(least, _)| least),
            mean: Some(self.mean().round() as u64),
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
}

/// The longest time that is one with `us`.
fn highest(us: u64) -> u64 {
    Times::lowest_equivalent(us) + ((1 << shift(us)) - 1)
}

fn rank_of(quantile: f64, count: u64) -> u64 {
    ((quantile * count as f64).ceil() as u64).clamp(1, count.max(1))
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

    /// The figures are those of an HdrHistogram with three significant digits, as the interval log has it.
    #[test]
    fn figures_are_those_of_the_histogram_that_is_logged() {
        let mut times = Times::default();
        let mut histogram = hdrhistogram::Histogram::<u64>::new(3).expect("3 digits");
        histogram.auto(true);
        let mut us = 1_u64;
        for n in 0..5_000_u64 {
            us = us.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(n) >> 1;
            let us = (us % 1_000) << (n % 20);
            times.add(us);
            histogram.record(us).expect("grows");
        }
        let figures = times.figures();
        for (figure, quantile) in [
            (figures.p50, 0.5),
            (figures.p90, 0.9),
            (figures.p99, 0.99),
            (figures.p999, 0.999),
            (figures.max, 1.0),
        ] {
            assert_eq!(
                figure,
                Some(histogram.value_at_quantile(quantile)),
                "{quantile}"
            );
        }
        assert_eq!(figures.min, Some(histogram.min()));
        assert_eq!(figures.mean, Some(histogram.mean().round() as u64));
        assert_eq!(times.max(), histogram.max());
    }
}
