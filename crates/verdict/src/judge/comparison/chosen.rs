use serde::Serialize;

use crate::summary::{State, Summary};

/// The runs of one cell.
#[derive(Clone, Debug)]
pub struct CellRuns {
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the cell.
    pub cell: String,
    /// For each variant in order, its repeats.
    pub runs: Vec<(String, Vec<Summary>)>,
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

/// The runs of a cell that stand for one of its variants.
pub(super) struct Chosen<'a> {
    pub cell: &'a str,
    pub variant: &'a str,
    pub used: Vec<&'a Summary>,
    pub repeats: Repeats,
    /// What a reader must know of those that are left out or invalid.
    pub remarks: Vec<String>,
}

/// What stands for each variant. Invalid runs are left out, unless a variant has no other.
pub(super) fn choose(runs: &CellRuns) -> Vec<Chosen<'_>> {
    let chosen = runs.runs.iter().map(|(variant, summaries)| {
        let (mut used, invalid): (Vec<_>, Vec<_>) =
            summaries.iter().partition(|summary| summary.quality.valid);
        // Invalid runs are never averaged: for want of a valid one, the last stands alone and marked.
        let is_invalid = used.is_empty();
        if is_invalid {
            used.extend(invalid.last());
        }
        let remark = |summary: &&Summary| {
            let is_shown = used.iter().any(|one| std::ptr::eq(*one, *summary));
            remark(variant, summary, is_shown)
        };
        Chosen {
            cell: &runs.cell,
            variant,
            remarks: invalid.iter().map(remark).collect(),
            repeats: Repeats {
                used: used.len(),
                left_out: summaries.len() - used.len(),
                is_invalid,
            },
            used,
        }
    });
    chosen.collect()
}

fn remark(variant: &str, summary: &Summary, is_shown: bool) -> String {
    let what = match summary.state {
        State::Complete => "invalid",
        State::Running => "unfinished: its lab was killed or is still at work",
        State::Interrupted => "interrupted",
        State::Failed => "failed",
    };
    let shown = if is_shown {
        "shown for want of a valid one"
    } else {
        "left out"
    };
    let why = summary.failure.iter().chain(&summary.quality.reasons);
    let why = why.cloned().collect::<Vec<_>>().join("; ");
    format!("{variant}, run {}: {what} ({shown}): {why}", summary.repeat)
}
