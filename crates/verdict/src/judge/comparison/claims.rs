use serde::Serialize;

use crate::summary::{ClaimVerdict, Summary};

/// What others reported of a row, and what the runs of it say.
#[derive(Clone, Debug, Serialize)]
pub struct Reported {
    /// Name of the variant that it was compared with.
    pub variant: String,
    /// Name of the cell.
    pub cell: String,
    /// The metric.
    pub metric: String,
    /// What was reported.
    pub reported: String,
    /// What the last run shows, if it was measured.
    pub measured: Option<String>,
    /// The verdicts of all runs, each once.
    pub verdicts: Vec<ClaimVerdict>,
    /// The figures that decide it, in the last run.
    pub because: String,
}

/// The claims of each variant: `used` holds its runs.
pub(super) fn claims(runs: &[(String, Vec<Summary>)], used: &[Vec<&Summary>]) -> Vec<Reported> {
    let variants = runs.iter().zip(used);
    variants
        .flat_map(|((variant, _), summaries)| {
            let last = summaries.last();
            last.into_iter().flat_map(move |last| {
                last.claims.iter().map(move |claim| {
                    let of_all = summaries.iter().flat_map(|summary| &summary.claims);
                    let mut verdicts: Vec<_> = of_all
                        .filter(|one| one.metric == claim.metric && one.reported == claim.reported)
                        .filter_map(|one| one.verdict)
                        .collect();
                    verdicts.sort_unstable();
                    verdicts.dedup();
                    Reported {
                        variant: variant.clone(),
                        cell: last.cell.clone(),
                        metric: claim.metric.clone(),
                        reported: claim.reported.clone(),
                        measured: claim.measured.clone(),
                        verdicts,
                        because: claim.because.clone(),
                    }
                })
            })
        })
        .collect()
}
