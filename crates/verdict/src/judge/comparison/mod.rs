//! Runs side by side. The run is the sample: repeats enter as their own figures, never pooled.

mod chosen;
mod claims;
mod columns;
mod figures;
pub mod overview;
mod provenance;
mod rows;
mod spread;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use chosen::{CellRuns, Repeats};
use chosen::{Chosen, choose};
pub use claims::Reported;
use claims::claims;
pub use columns::{Column, Entry, Mark, Part};
pub use overview::{Overview, OverviewRow, OverviewVariant, Topic};
pub use provenance::Provenance;
use provenance::made_by;
pub use rows::ComparisonRow;
use rows::rows;
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

/// Compares the runs of one cell.
///
/// Invalid runs are left out, unless a variant has no other: then they stand, with a remark.
#[must_use]
pub fn compare(cell: &CellRuns) -> Comparison {
    let chosen = choose(cell);
    let remarks = chosen.iter().flat_map(|one| one.remarks.clone());
    Comparison {
        scenario: cell.scenario.clone(),
        cell: cell.cell.clone(),
        variants: chosen.iter().map(|one| one.variant.to_owned()).collect(),
        repeats: chosen.iter().map(|one| one.repeats).collect(),
        rows: rows(&chosen),
        claims: claims(&chosen),
        remarks: remarks.chain(differing_parameters(&chosen)).collect(),
        made_by: made_by(&chosen),
    }
}

/// Runs that were not made with the same parameters are compared all the same, but not in silence.
fn differing_parameters(chosen: &[Chosen<'_>]) -> Option<String> {
    let mut values: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for summary in chosen.iter().flat_map(|one| &one.used) {
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
        let comparison = compare(&CellRuns {
            scenario: "sample".to_owned(),
            cell: "only".to_owned(),
            runs: vec![("broken".to_owned(), vec![invalid(100), invalid(300)])],
        });
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
