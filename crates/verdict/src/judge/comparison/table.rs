use super::{Figure, Row, RowUnit, Spread};
use crate::metrics;
use crate::summary::Summary;

/// Reads one figure of one run, and whether it is a lower bound.
type Read<'a> = dyn Fn(&Summary) -> Option<(f64, bool)> + 'a;

/// The rows of a comparison while they are being made.
pub(super) struct Table<'a> {
    pub columns: &'a [&'a [&'a Summary]],
    pub has_invalid: bool,
    pub group: &'static str,
    pub rows: Vec<Row>,
}

impl Table<'_> {
    pub fn number(&mut self, label: impl Into<String>, unit: RowUnit, read: &Read<'_>) {
        let per_run: Vec<Vec<Sample>> = self
            .columns
            .iter()
            .map(|runs| {
                let sample = |summary: &&Summary| {
                    let (value, censored) = read(summary)?;
                    Some(Sample {
                        repeat: summary.repeat,
                        value,
                        censored,
                    })
                };
                runs.iter().filter_map(sample).collect()
            })
            .collect();
        let values: Vec<_> = per_run
            .iter()
            .map(|samples| {
                let values: Vec<_> = samples
                    .iter()
                    .map(|sample| (sample.value, sample.censored))
                    .collect();
                Spread::of(&values).map_or(Figure::Missing, Figure::Number)
            })
            .collect();
        let ratio = if self.has_invalid {
            None
        } else {
            ratio(&per_run)
        };
        self.rows.push(Row {
            label: label.into(),
            group: self.group,
            unit,
            ratio,
            values,
        });
    }

    pub fn text(&mut self, label: &str, read: impl Fn(&Summary) -> Option<String>) {
        let values = self.columns.iter().map(|runs| {
            let mut words: Vec<_> = runs.iter().filter_map(|summary| read(summary)).collect();
            words.sort();
            words.dedup();
            if words.is_empty() {
                Figure::Missing
            } else {
                Figure::Text(words.join(" / "))
            }
        });
        self.rows.push(Row {
            label: label.to_owned(),
            group: self.group,
            unit: RowUnit::Text,
            values: values.collect(),
            ratio: None,
        });
    }

    /// A row of the metric called `name`, unless no run has it.
    pub fn metric(&mut self, label: impl Into<String>, unit: RowUnit, name: &str) {
        self.number(label, unit, &|summary| metrics::number(name, summary));
        self.drop_if_missing();
    }

    /// Takes the last row back if no run has it.
    pub fn drop_if_missing(&mut self) {
        let is_missing = |row: &Row| row.values.iter().all(|value| *value == Figure::Missing);
        if self.rows.last().is_some_and(is_missing) {
            self.rows.pop();
        }
    }
}

/// One figure of one run.
#[derive(Clone, Copy)]
struct Sample {
    repeat: u32,
    value: f64,
    censored: bool,
}

/// The first variant over the second, each repeat over the one that ran in turn with it. A lower bound
/// has no ratio, and where one repeat has none the row has none.
fn ratio(per_run: &[Vec<Sample>]) -> Option<Spread> {
    let [first, second] = per_run else {
        return None;
    };
    let mut others = second.clone();
    let mut ratios = Vec::new();
    for a in first {
        let Some(position) = others.iter().position(|b| b.repeat == a.repeat) else {
            continue;
        };
        let b = others.remove(position);
        if a.censored || b.censored || b.value <= 0.0 {
            return None;
        }
        ratios.push((a.value / b.value, false));
    }
    Spread::of(&ratios)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(repeat: u32, value: f64, censored: bool) -> Sample {
        Sample {
            repeat,
            value,
            censored,
        }
    }

    #[test]
    fn a_lower_bound_has_no_ratio() {
        let bound = [vec![sample(1, 5.0, true)], vec![sample(1, 1.0, false)]];
        assert!(ratio(&bound).is_none());
        let exact = [
            vec![sample(1, 5.0, false), sample(2, 6.0, false)],
            vec![sample(1, 1.0, false), sample(2, 2.0, false)],
        ];
        let exact = ratio(&exact).expect("exact");
        assert_eq!((exact.min, exact.max), (3.0, 5.0));
    }

    #[test]
    fn a_ratio_pairs_the_runs_that_took_turns() {
        // The first repeat of the first variant was left out as invalid.
        let runs = [
            vec![sample(2, 6.0, false)],
            vec![sample(1, 1.0, false), sample(2, 2.0, false)],
        ];
        assert_eq!(ratio(&runs).map(|ratio| ratio.median), Some(3.0));
    }
}
