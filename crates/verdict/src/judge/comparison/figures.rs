use std::collections::BTreeSet;

use super::spread::{Figure, Spread};
use crate::metrics::{MetricUnit, measured, number, unit_of};
use crate::scenario::Value;
use crate::summary::Summary;

/// Where a figure of a table comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// The metric of this name, in which `<…>` stands for the name of a class, a step and so on.
    Metric(&'static str),
    /// A number that is no metric, and whether it is a lower bound.
    Number(MetricUnit, fn(&Summary) -> Option<(f64, bool)>),
    /// Words that are no metric.
    Words(fn(&Summary) -> Option<String>),
}

impl Source {
    pub fn unit(&self) -> MetricUnit {
        match self {
            // A test sees to it that every one of them is a metric.
            Self::Metric(name) => unit_of(name).unwrap_or(MetricUnit::Text),
            Self::Number(unit, _) => *unit,
            Self::Words(_) => MetricUnit::Text,
        }
    }

    /// What some runs come to; `name` is that of the metric, filled in.
    pub fn figure(&self, name: &str, runs: &[&Summary]) -> Figure {
        let numbers = runs.iter().filter_map(|run| self.number(name, run));
        if let Some(spread) = Spread::of(&numbers.collect::<Vec<_>>()) {
            return Figure::Number(spread);
        }
        let words = runs.iter().filter_map(|run| self.words(name, run));
        let words: Vec<_> = words.collect::<BTreeSet<_>>().into_iter().collect();
        if words.is_empty() {
            Figure::Missing
        } else {
            Figure::Text(words.join(" / "))
        }
    }

    fn number(&self, name: &str, run: &Summary) -> Option<(f64, bool)> {
        match self {
            Self::Metric(_) => number(name, run),
            Self::Number(_, read) => read(run),
            Self::Words(_) => None,
        }
    }

    fn words(&self, name: &str, run: &Summary) -> Option<String> {
        match self {
            Self::Metric(_) => match measured(name, run)?.value {
                Value::Word(word) => Some(word),
                _ => None,
            },
            Self::Words(read) => read(run),
            Self::Number(..) => None,
        }
    }

    /// The first variant over the second, each repeat over the one that ran in turn with it. A lower bound
    /// has no ratio, and where one repeat has none the figure has none.
    pub fn ratio(&self, name: &str, variants: &[&[&Summary]]) -> Option<Spread> {
        let [first, second] = variants else {
            return None;
        };
        let of = |run: &&Summary| Some((run.repeat, self.number(name, run)?));
        let mut others: Vec<_> = second.iter().filter_map(of).collect();
        let mut ratios = Vec::new();
        for (repeat, (a, a_is_bound)) in first.iter().filter_map(of) {
            let Some(position) = others.iter().position(|other| other.0 == repeat) else {
                continue;
            };
            let (_, (b, b_is_bound)) = others.remove(position);
            if a_is_bound || b_is_bound || b <= 0.0 {
                return None;
            }
            ratios.push((a / b, false));
        }
        Spread::of(&ratios)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::summary;

    /// Runs by number and p50 of the streams' first chunk, and whether it is a lower bound.
    fn ratio(runs: [&[(u32, u64, bool)]; 2]) -> Option<Spread> {
        let runs = runs.map(|runs| {
            let run = |&(repeat, us, is_bound): &(u32, u64, bool)| {
                let mut run = summary();
                run.repeat = repeat;
                let times = &mut run.phases.load.streams.ttft_us;
                (times.p50, times.p50_censored) = (Some(us), is_bound);
                run
            };
            runs.iter().map(run).collect::<Vec<_>>()
        });
        let [first, second] = runs.each_ref().map(|runs| runs.iter().collect::<Vec<_>>());
        Source::Metric("ttft.p50").ratio("ttft.p50", &[&first, &second])
    }

    #[test]
    fn a_lower_bound_has_no_ratio() {
        assert!(ratio([&[(1, 5, true)], &[(1, 1, false)]]).is_none());
        let exact = [(1, 5, false), (2, 6, false)];
        let exact = ratio([&exact, &[(1, 1, false), (2, 2, false)]]).expect("exact");
        assert_eq!((exact.min, exact.max), (3.0, 5.0));
    }

    #[test]
    fn a_ratio_pairs_the_runs_that_took_turns() {
        // The first repeat of the first variant was left out as invalid.
        let runs: [&[_]; 2] = [&[(2, 6, false)], &[(1, 1, false), (2, 2, false)]];
        assert_eq!(ratio(runs).map(|ratio| ratio.median), Some(3.0));
    }
}
