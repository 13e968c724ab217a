//! The forecast, before the run and after it.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use verdict::metrics::MetricUnit;
use verdict::summary::{Bound, Forecast, Unit, Verdict};
use verdict::units::WIDTH;

/// The forecast before a run: name, prediction, law.
#[must_use]
pub fn before(rows: &[Forecast]) -> String {
    let mut table = table(&["forecast", "predicted", "because"]);
    for row in rows {
        table.add_row(vec![
            Cell::new(&row.name),
            right(show(row.predicted, sign(row.bound), row.unit)),
            Cell::new(&row.formula),
        ]);
    }
    table.to_string() + "\n"
}

/// The forecast after a run: name, prediction, measurement, error.
#[must_use]
pub fn after(rows: &[Forecast]) -> String {
    let mut table = table(&["forecast", "predicted", "measured", "error"]);
    for row in rows {
        let measured = row.measured.map(|measured| {
            show(
                measured,
                if row.measured_censored { "≥ " } else { "" },
                row.unit,
            )
        });
        let error = match (row.error(), row.verdict) {
            (Some(error), _) => format!("{error:+.1} %"),
            (None, _) if row.is_met_zero() => "as predicted".to_owned(),
            (None, Some(Verdict::Within)) => "within".to_owned(),
            (None, Some(Verdict::Refuted)) => "REFUTED".to_owned(),
            (None, Some(Verdict::Measured) | None) => "n/a".to_owned(),
        };
        table.add_row(vec![
            Cell::new(&row.name),
            right(show(row.predicted, sign(row.bound), row.unit)),
            right(measured.unwrap_or("n/a".to_owned())),
            right(error),
        ]);
    }
    table.to_string() + "\n"
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH as u16)
        .set_header(header.to_vec());
    table
}

fn right(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn sign(bound: Bound) -> &'static str {
    match bound {
        Bound::Exact => "",
        Bound::AtLeast => "≥ ",
        Bound::AtMost => "≤ ",
    }
}

fn show(value: f64, sign: &str, unit: Unit) -> String {
    format!("{sign}{}", MetricUnit::from(unit).shown(value))
}
