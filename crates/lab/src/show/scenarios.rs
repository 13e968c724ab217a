//! One table of every scenario: what was expected, what was measured, how far off the forecast was,
//! and the diagnosis.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use crate::judge::control::{Control, Judged};
use crate::summary::{Outcome, State, Summary, Verdict};
use crate::units::{WIDTH, wrapped};

/// The table, what failed, and the positive control.
#[must_use]
pub fn render(judged: &[Judged<'_>], controls: &[Control]) -> String {
    let mut text = String::new();
    let mut scenario = "";
    let mut rows = Vec::new();
    for one in judged {
        if one.summary.scenario != scenario {
            text.push_str(&table(&rows));
            rows.clear();
            scenario = &one.summary.scenario;
            text.push_str(&format!("\n{scenario}\n"));
        }
        rows.push(one.summary);
    }
    text.push_str(&table(&rows));
    text.push_str(&failures(judged));
    text.push_str(&positive_control(controls));
    text
}

fn table(rows: &[&Summary]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH as u16)
        .set_header([
            "cell",
            "variant",
            "expected",
            "measured",
            "error",
            "diagnosis",
            "",
        ]);
    for summary in rows {
        let headline = headline(summary);
        table.add_row(vec![
            Cell::new(&summary.cell),
            Cell::new(&summary.variant),
            Cell::new(headline.map_or(String::new(), |one| {
                format!("{} {}", one.name, one.expected)
            })),
            Cell::new(headline.map_or("–", |one| &one.measured)),
            Cell::new(forecast_error(summary)).set_alignment(CellAlignment::Right),
            Cell::new(summary.diagnosis.kind.name()),
            Cell::new(verdict(summary)),
        ]);
    }
    let lines: Vec<_> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n") + "\n"
}

/// The expectation that is shown: the first that failed, or else the first.
fn headline(summary: &Summary) -> Option<&Outcome> {
    let failed = summary.expectations.iter().find(|one| !one.held);
    failed.or(summary.expectations.first())
}

/// The largest error of what was forecast as a value.
fn forecast_error(summary: &Summary) -> String {
    let refuted = summary
        .forecast
        .iter()
        .any(|row| row.verdict == Some(Verdict::Refuted));
    let errors = summary.forecast.iter().filter_map(|row| row.error_percent);
    let largest = errors.map(f64::abs).max_by(f64::total_cmp);
    match largest {
        _ if refuted => "REFUTED".to_owned(),
        Some(error) => format!("{error:.1} %"),
        None => "–".to_owned(),
    }
}

fn verdict(summary: &Summary) -> String {
    let held = summary.expectations.iter().filter(|one| one.held).count();
    let all = summary.expectations.len();
    match summary.state {
        State::Complete if !summary.quality.valid => "INVALID".to_owned(),
        State::Complete if held < all => "FAILED".to_owned(),
        State::Complete => format!("{held} of {all}"),
        State::Running | State::Interrupted | State::Failed => "ended early".to_owned(),
    }
}

fn failures(judged: &[Judged<'_>]) -> String {
    let mut text = String::new();
    for summary in judged.iter().map(|one| one.summary) {
        let place = format!(
            "{} / {} / {}",
            summary.scenario, summary.cell, summary.variant
        );
        for outcome in summary.expectations.iter().filter(|one| !one.held) {
            let line = format!(
                "{place}: expected {} {}, measured {}",
                outcome.name, outcome.expected, outcome.measured
            );
            text.push_str(&wrapped("FAILED ", "  ", &line));
        }
        for reason in summary.failure.iter().chain(&summary.quality.reasons) {
            text.push_str(&wrapped("INVALID ", "  ", &format!("{place}: {reason}")));
        }
    }
    if text.is_empty() {
        text.push_str("Every expectation held.\n");
    }
    format!("\n{text}")
}

fn positive_control(controls: &[Control]) -> String {
    let failed = controls
        .iter()
        .filter(|one| one.failed_by.is_some())
        .count();
    let mut text = format!(
        "Positive control: {failed} of {} expectations can fail: on the run of another variant, with the\nforecast of another cell, or on their own run with the load spoiled.\n",
        controls.len()
    );
    for control in controls.iter().filter(|one| one.failed_by.is_none()) {
        let line = format!(
            "{} / {}: {} (no run here fails it)",
            control.scenario, control.variant, control.expectation
        );
        text.push_str(&wrapped("  ", "    ", &line));
    }
    text
}
