//! What is printed when a cell is over: forecast and its error, diagnosis with its evidence,
//! expectations, and whether the measurement can be trusted.

use super::{claims, forecast};
use verdict::summary::{Kind, State, Summary};
use verdict::units::wrapped;

/// The end of a cell, in a few lines.
#[must_use]
pub fn render(summary: &Summary) -> String {
    let mut text = format!(
        "\n{} / {} / {}\n",
        summary.scenario, summary.cell, summary.variant
    );
    if !summary.forecast.is_empty() && summary.state == State::Complete {
        text.push_str(&forecast::after(&summary.forecast));
    }
    let diagnosis = &summary.diagnosis;
    let capacity = diagnosis
        .inferred_capacity
        .map_or(String::new(), |capacity| format!(", capacity {capacity}"));
    let (kind, family) = (diagnosis.kind.name(), diagnosis.family.name());
    let name = match diagnosis.kind {
        Kind::Undecided => family.to_owned(),
        _ if kind == family => family.to_owned(),
        _ => format!("{kind} ({family})"),
    };
    text.push_str(&format!(" diagnosis: {name}{capacity}\n"));
    for evidence in &diagnosis.evidence {
        text.push_str(&wrapped("   because ", "           ", evidence));
    }
    for candidate in &diagnosis.candidates {
        let line = format!(
            "{}, decided by {}",
            match candidate.kind {
                Kind::Undecided => candidate.family.name(),
                kind => kind.name(),
            },
            candidate.decided_by
        );
        text.push_str(&wrapped("   perhaps ", "           ", &line));
    }
    let failed: Vec<_> = summary
        .expectations
        .iter()
        .filter(|outcome| !outcome.held)
        .collect();
    let all = summary.expectations.len();
    if all > 0 {
        text.push_str(&format!(
            " expectations: {} of {all} held\n",
            all - failed.len()
        ));
    }
    for outcome in failed {
        let line = format!(
            "{} {} — measured {}",
            outcome.name, outcome.expected, outcome.measured
        );
        text.push_str(&wrapped("   FAILED ", "          ", &line));
    }
    text.push_str(&claims::of_cell(&summary.claims));
    if let Some(failure) = &summary.failure {
        text.push_str(&wrapped(" FAILED: ", "   ", failure));
    }
    for reason in &summary.quality.reasons {
        text.push_str(&wrapped(" INVALID: ", "   ", reason));
    }
    for remark in &summary.quality.remarks {
        text.push_str(&wrapped(" note: ", "   ", remark));
    }
    text
}
