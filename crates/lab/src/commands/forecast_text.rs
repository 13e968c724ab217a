//! Forecasts as a person reads them.

use super::stdout::print;
use crate::run::Calibration;
use crate::show;
use verdict::forecast::{Question, forecast};
use verdict::scenario::{Cell, NoForecast, Scenario, Variant};
use verdict::units::wrapped;

/// The forecast of each cell in each variant, and what there is none for.
pub(super) fn print_all<'a>(
    scenario: &Scenario,
    variants: &[Variant],
    calibration: &Calibration,
    cells: impl Iterator<Item = (&'a Cell, &'a str)>,
) {
    let cells: Vec<_> = cells.collect();
    for &(cell, before) in &cells {
        for variant in variants.iter().filter(|one| cell.has_variant(&one.name)) {
            let question = Question {
                cell,
                seed: scenario.seed,
                parse: calibration.parse(cell),
            };
            let rows = forecast(variant, question);
            if rows.is_empty() {
                continue;
            }
            print(&format!(
                "\n{before}{} / {} / {}:\n",
                scenario.name, cell.name, variant.name
            ));
            print(&show::forecast::before(&rows));
        }
    }
    print_unforecast(scenario, cells.iter().map(|&(cell, _)| cell));
}

/// What a scenario says that no forecast can hold for in these cells.
pub(super) fn print_unforecast<'a>(
    scenario: &Scenario,
    cells: impl Iterator<Item = &'a Cell> + Clone,
) {
    let concerns = |one: &&NoForecast| cells.clone().any(|cell| one.concerns(cell));
    for NoForecast { what, because, .. } in scenario.no_forecast.iter().filter(concerns) {
        print(&wrapped(
            "\nNot forecast: ",
            "  ",
            &format!("{what}, because {because}"),
        ));
    }
}
