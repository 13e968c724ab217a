use serde::Serialize;

use super::chosen::Chosen;
use crate::summary::ClaimVerdict;

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

/// The claims about what stands for each variant.
pub(super) fn claims(chosen: &[Chosen<'_>]) -> Vec<Reported> {
    let mut reported = Vec::new();
    for one in chosen {
        for claim in one.used.last().into_iter().flat_map(|last| &last.claims) {
            let of_all = one.used.iter().flat_map(|summary| &summary.claims);
            let same =
                of_all.filter(|of| (&of.metric, &of.reported) == (&claim.metric, &claim.reported));
            let mut verdicts: Vec<_> = same.filter_map(|of| of.verdict).collect();
            verdicts.sort_unstable();
            verdicts.dedup();
            reported.push(Reported {
                variant: one.variant.to_owned(),
                cell: one.cell.to_owned(),
                metric: claim.metric.clone(),
                reported: claim.reported.clone(),
                measured: claim.measured.clone(),
                verdicts,
                because: claim.because.clone(),
            });
        }
    }
    reported
}
