//! Runs side by side. The run is the sample: repeats enter as their own figures, never pooled.

mod across;
mod claims;
mod columns;
mod figures;
mod matrix;
pub mod overview;
mod rows;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::metrics::MetricUnit;
use crate::summary::{State, Summary};

pub use across::CellRuns;
use across::{Across, LEAST_CELLS};
pub use claims::Reported;
pub use columns::{Column, Entry, Mark, Part};
pub use matrix::{Matrix, MatrixRow, MatrixVariant, is_matrix, matrix};
pub use overview::{Overview, OverviewGroup, OverviewRow, OverviewVariant, Topic};

/// One cell of the scenario in every variant.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the cell.
    pub cell: String,
    /// Names of the variants, in the order of the columns.
    pub variants: Vec<String>,
    /// How many repeats stand behind each column, and how many of them were left out as invalid.
    pub repeats: Vec<Repeats>,
    /// What is compared.
    pub rows: Vec<ComparisonRow>,
    /// What others reported, judged by these runs.
    pub claims: Vec<Reported>,
    /// What a reader must know, for instance that a run was interrupted.
    pub remarks: Vec<String>,
    /// How and where the runs were made, each different way once.
    pub made_by: Vec<Provenance>,
}

/// How and where a run was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// The command line.
    pub command: String,
    /// Commit that the lab was built from.
    pub git_commit: String,
    /// Version of the lab.
    pub lab_version: String,
    /// Operating system and kernel.
    pub os: String,
    /// Model of the processor, if known.
    pub cpu: Option<String>,
    /// Logical processors.
    pub cores: u64,
    /// Memory, if known.
    pub memory_bytes: Option<u64>,
    /// UTC day of the first run made this way.
    pub day: String,
}

impl Provenance {
    fn of(summary: &Summary) -> Self {
        Self {
            command: summary.command.clone(),
            git_commit: summary.git_commit.clone(),
            lab_version: summary.lab_version.clone(),
            os: summary.host.os.clone(),
            cpu: summary.host.cpu.clone(),
            cores: summary.host.cores,
            memory_bytes: summary.host.memory_bytes,
            day: summary
                .started_at
                .split('T')
                .next()
                .unwrap_or_default()
                .to_owned(),
        }
    }
}

/// The runs behind a column.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Repeats {
    /// Used.
    pub used: usize,
    /// Left out.
    pub left_out: usize,
    /// Whether what stands there is one invalid run, for want of a valid one.
    pub is_invalid: bool,
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct ComparisonRow {
    /// What it is.
    pub label: String,
    /// Rows of one group belong together.
    pub group: &'static str,
    /// Unit of the values.
    pub unit: MetricUnit,
    /// One for each variant.
    pub values: Vec<Figure>,
    /// First variant over the second, run by run, where both are exact numbers.
    pub ratio: Option<Spread>,
}

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
    fn of(values: &[(f64, bool)]) -> Option<Self> {
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

/// Compares the runs of one cell; `runs` holds, for each variant in order, its repeats.
///
/// Invalid runs are left out, unless a variant has no other: then they stand, with a remark.
#[must_use]
pub fn compare(scenario: &str, cell: &str, runs: &[(String, Vec<Summary>)]) -> Comparison {
    let Chosen {
        used,
        repeats,
        mut remarks,
    } = choose(runs);
    remarks.extend(differing_parameters(&used));
    let columns: Vec<&[&Summary]> = used.iter().map(Vec::as_slice).collect();
    Comparison {
        scenario: scenario.to_owned(),
        cell: cell.to_owned(),
        variants: runs.iter().map(|(variant, _)| variant.clone()).collect(),
        rows: rows::rows(&columns, repeats.iter().any(|repeats| repeats.is_invalid)),
        claims: claims::claims(runs, &used),
        repeats,
        remarks,
        made_by: made_by(used.iter().flatten().copied()),
    }
}

/// What stands for each variant.
struct Chosen<'a> {
    used: Vec<Vec<&'a Summary>>,
    repeats: Vec<Repeats>,
    remarks: Vec<String>,
}

fn choose(runs: &[(String, Vec<Summary>)]) -> Chosen<'_> {
    let mut remarks = Vec::new();
    let mut repeats = Vec::new();
    let mut used = Vec::new();
    for (variant, summaries) in runs {
        let (valid, invalid): (Vec<_>, Vec<_>) =
            summaries.iter().partition(|summary| summary.quality.valid);
        for summary in &invalid {
            let is_shown = valid.is_empty()
                && invalid
                    .last()
                    .is_some_and(|last| std::ptr::eq(*last, *summary));
            remarks.push(remark(variant, summary, is_shown));
        }
        let is_invalid = valid.is_empty();
        // Invalid runs are never averaged: for want of a valid one, the last stands alone and marked.
        let chosen: Vec<_> = if is_invalid {
            invalid.last().copied().into_iter().collect()
        } else {
            valid
        };
        let left_out = summaries.len() - chosen.len();
        repeats.push(Repeats {
            used: chosen.len(),
            left_out,
            is_invalid,
        });
        used.push(chosen);
    }
    Chosen {
        used,
        repeats,
        remarks,
    }
}

/// How and where runs were made, each different way once.
fn made_by<'a>(summaries: impl Iterator<Item = &'a Summary>) -> Vec<Provenance> {
    let mut made_by: Vec<Provenance> = Vec::new();
    for summary in summaries {
        let provenance = Provenance::of(summary);
        if !made_by.contains(&provenance) {
            made_by.push(provenance);
        }
    }
    made_by
}

fn remark(variant: &str, summary: &Summary, shown: bool) -> String {
    let what = match summary.state {
        State::Complete => "invalid",
        State::Running => "unfinished: its lab was killed or is still at work",
        State::Interrupted => "interrupted",
        State::Failed => "failed",
    };
    let shown = if shown {
        "shown for want of a valid one"
    } else {
        "left out"
    };
    let why = summary
        .failure
        .iter()
        .chain(&summary.quality.reasons)
        .cloned()
        .collect::<Vec<_>>()
        .join("; ");
    format!("{variant}, run {}: {what} ({shown}): {why}", summary.repeat)
}

/// Runs that were not made with the same parameters are compared all the same, but not in silence.
fn differing_parameters(used: &[Vec<&Summary>]) -> Option<String> {
    let mut values: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for summary in used.iter().flatten() {
        for (name, &value) in &summary.parameters {
            values.entry(name).or_default().insert(value);
        }
    }
    let differing: Vec<_> = values
        .into_iter()
        .filter(|(_, values)| values.len() > 1)
        .map(|(name, values)| {
            let values: Vec<_> = values.iter().map(u64::to_string).collect();
            format!("{name} ({})", values.join(" and "))
        })
        .collect();
    (!differing.is_empty()).then(|| {
        format!(
            "these runs were made with different parameters: {}",
            differing.join(", ")
        )
    })
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

    #[test]
    fn invalid_runs_are_never_averaged() {
        let invalid = |p99| {
            let mut summary = crate::sample::summary();
            summary.quality.valid = false;
            summary.phases.load.streams.ttft_us.p99 = Some(p99);
            summary
        };
        let runs = [("broken".to_owned(), vec![invalid(100), invalid(300)])];
        let comparison = compare("sample", "only", &runs);
        assert_eq!(comparison.repeats[0].used, 1);
        assert!(comparison.repeats[0].is_invalid);
        let row = comparison
            .rows
            .iter()
            .find(|row| row.label == "TTFT p99")
            .expect("there");
        assert!(matches!(row.values[0], Figure::Number(spread) if spread.median == 300.0));
    }
}
