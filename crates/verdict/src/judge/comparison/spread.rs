use serde::Serialize;

/// The figure of one variant.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Figure {
    /// Not measured.
    Missing,
    /// Of several runs, or of one.
    Number(Spread),
    /// A word, the same in all runs or all of them.
    Text(String),
}

/// Median and range over runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Median of the per-run figures.
    pub median: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Whether any of them is a lower bound.
    pub censored: bool,
}

impl Spread {
    pub(super) fn of(values: &[(f64, bool)]) -> Option<Self> {
        let mut sorted: Vec<_> = values.iter().map(|&(value, _)| value).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let (&min, &max) = sorted.first().zip(sorted.last())?;
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Some(Self {
            median,
            min,
            max,
            censored: values.iter().any(|&(_, censored)| censored),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_compared_as_runs() {
        let spread = Spread::of(&[(3.0, false), (1.0, false), (2.0, true)]).expect("three runs");
        assert_eq!(
            (spread.median, spread.min, spread.max, spread.censored),
            (2.0, 1.0, 3.0, true)
        );
        assert_eq!(Spread::of(&[]), None);
    }
}
