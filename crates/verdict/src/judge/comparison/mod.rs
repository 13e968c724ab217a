//! Runs side by side. The run is the sample: repeats enter as their own figures, never pooled.

mod across;
mod chosen;
mod claims;
mod columns;
mod comparison_row;
mod figures;
mod matrix;
pub mod overview;
mod provenance;
mod rows;
mod spread;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::summary::Summary;

pub use across::CellRuns;
use across::{Across, LEAST_CELLS};
pub use chosen::Repeats;
use chosen::{Chosen, choose};
pub use claims::Reported;
pub use columns::{Column, Entry, Mark, Part};
pub use comparison_row::ComparisonRow;
pub use matrix::{Matrix, MatrixRow, MatrixVariant, is_matrix, matrix};
pub use overview::{Overview, OverviewGroup, OverviewRow, OverviewVariant, Topic};
pub use provenance::Provenance;
use provenance::made_by;
pub use spread::{Figure, Spread};

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
