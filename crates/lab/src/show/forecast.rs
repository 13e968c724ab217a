//! The forecast, before the run and after it.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use crate::summary::{Forecast, Unit};
use crate::units::{WIDTH, count, percent, time};

/// The forecast before a run: name, prediction, law.
#[must_use]
pub fn before(rows: &[Forecast]) -> String {
    let mut table = table(&["forecast", "predicted", "because"]);
    for row in rows {
        table.add_row(vec![
            Cell::new(&row.name),
            right(show(row.predicted, row.predicted_censored, row.unit)),
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
        let measured = row
            .measured
            .map(|measured| show(measured, row.measured_censored, row.unit));
        let error = match row.error_percent {
            Some(error) => format!("{error:+.1} %"),
            None if row.predicted_censored && row.measured_censored => "both cut off".to_owned(),
            None => "n/a".to_owned(),
        };
        table.add_row(vec![
            Cell::new(&row.name),
            right(show(row.predicted, row.predicted_censored, row.unit)),
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

fn show(value: f64, censored: bool, unit: Unit) -> String {
    let text = match unit {
        Unit::Us => time(value),
        Unit::Streams => count(value),
        Unit::Percent => percent(value),
        Unit::PerSecond => format!("{value:.2}/s"),
    };
    if censored {
        format!("≥ {text}")
    } else {
        text
    }
}
