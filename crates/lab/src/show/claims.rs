//! What others reported, and what this lab's own runs say of it.

use verdict::judge::comparison::Reported;
use verdict::summary::{Claim, ClaimVerdict};
use verdict::units::wrapped;

/// The claims of one cell, after it was run.
#[must_use]
pub fn of_cell(claims: &[Claim]) -> String {
    let line = |claim: &Claim| {
        let verdict = claim.verdict.map_or("not measured", ClaimVerdict::name);
        let text = format!(
            "{} {}: {verdict}; {}",
            claim.metric, claim.reported, claim.because
        );
        wrapped("   field report ", "           ", &text)
    };
    claims.iter().map(line).collect()
}

/// The claims of a comparison, as sentences.
pub fn sentences(claims: &[Reported]) -> impl Iterator<Item = String> {
    claims.iter().map(|claim| {
        format!(
            "Field report, {} / {}: {} {}: {}; {}.",
            claim.cell,
            claim.variant,
            claim.metric,
            claim.reported,
            verdicts(claim),
            claim.because
        )
    })
}

/// The claims of a comparison, as a Markdown table; empty if there are none.
#[must_use]
pub fn markdown(claims: &[Reported]) -> String {
    if claims.is_empty() {
        return String::new();
    }
    let mut text = "| field report of | metric | reported | measured here | verdict | because |\n\
                    |---|---|---:|---:|---|---|\n"
        .to_owned();
    for claim in claims {
        text.push_str(&format!(
            "| {} / {} | {} | {} | {} | {} | {} |\n",
            claim.cell,
            claim.variant,
            claim.metric,
            claim.reported,
            claim.measured.as_deref().unwrap_or("n/a"),
            verdicts(claim),
            claim.because
        ));
    }
    text
}

/// One verdict, or all that the runs came to.
fn verdicts(claim: &Reported) -> String {
    let names: Vec<_> = claim
        .verdicts
        .iter()
        .map(|verdict| verdict.name())
        .collect();
    if names.is_empty() {
        return "not measured".to_owned();
    }
    names.join(" / ")
}
