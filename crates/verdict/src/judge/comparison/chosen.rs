use serde::Serialize;

use crate::summary::{State, Summary};

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

/// What stands for each variant.
pub(super) struct Chosen<'a> {
    pub used: Vec<Vec<&'a Summary>>,
    pub repeats: Vec<Repeats>,
    pub remarks: Vec<String>,
}

/// Invalid runs are left out, unless a variant has no other.
pub(super) fn choose(runs: &[(String, Vec<Summary>)]) -> Chosen<'_> {
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
