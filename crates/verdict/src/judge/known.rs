//! Whether each name in a scenario's expectations exists in its cells. Otherwise a wrong name would only
//! fail after the run.

use crate::load::forecasts_of;
use crate::metrics::{Asked, check, check_value, unit_of};
use crate::scenario::{Cell, Expectation, FieldReport, Scenario, Value, Variant};
use crate::summary::{Diagnosis, Family, Member};

/// Checks every metric and diagnosis that a scenario's expectations and field reports name. Each must exist
/// in the cells that they are about.
///
/// # Errors
/// A sentence about the first name that does not.
pub fn check_scenario(scenario: &Scenario) -> Result<(), String> {
    for variant in &scenario.variants {
        let cells = scenario.cells.iter().chain(&scenario.quick_cells);
        for cell in cells.filter(|cell| cell.has_variant(&variant.name)) {
            check_cell(variant, cell)
                .map_err(|error| format!("scenario {}: {error}", scenario.name))?;
        }
    }
    Ok(())
}

fn check_cell(variant: &Variant, cell: &Cell) -> Result<(), String> {
    let forecasts = &forecasts_of(variant.model, cell);
    let known = |table: &str, metric: &str| {
        let asked = Asked { cell, forecasts };
        check(metric, asked).map_err(|error| format!("in {table}: {error}"))
    };
    for report in variant.field_reports(cell) {
        known("[[field_report]]", &report.metric)?;
        if !unit_of(&report.metric).is_some_and(|unit| unit.takes(&report.reported)) {
            let FieldReport {
                metric, reported, ..
            } = report;
            return Err(format!(
                "in [[field_report]]: {metric} cannot be {reported}: its unit is another"
            ));
        }
    }
    for expectation in variant.expectations(cell) {
        check_diagnosis(&expectation)?;
        let table = match expectation.is_negated {
            true => "fail_if",
            false => "[[expect]]",
        };
        known(table, &expectation.metric)?;
        check_value(&expectation).map_err(|error| format!("in {table}: {error}"))?;
    }
    Ok(())
}

/// Rejects an unknown diagnosis, because with a misspelt one `!=` would always hold.
fn check_diagnosis(expectation: &Expectation) -> Result<(), String> {
    let known: Vec<_> = match expectation.metric.rsplit('.').next() {
        Some("diagnosis") => Diagnosis::words().collect(),
        Some("family") => Family::ALL.map(Family::name).into(),
        Some("member") => Member::ALL
            .map(Member::name)
            .into_iter()
            .chain(["none"])
            .collect(),
        _ => return Ok(()),
    };
    match &expectation.value {
        Value::Word(word) if !known.contains(&word.as_str()) => Err(format!(
            "\"{word}\" in \"{}\" is no diagnosis; there are {}",
            expectation.as_written(),
            known.join(", ")
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::forecast::{Question, forecast};

    /// The names for any machine. How long a machine takes to parse a body on a worker decides which
    /// percentile is forecast.
    fn forecast_names(scenario: &Scenario, variant: &Variant, cell: &Cell) -> Vec<String> {
        let rows = [4, 64, 1_024].map(|ms| {
            let question = Question {
                cell,
                seed: scenario.seed,
                parse: Some(Duration::from_millis(ms)),
            };
            forecast(variant, question)
        });
        rows.into_iter().flatten().map(|row| row.name).collect()
    }

    #[test]
    fn every_scenario_names_what_is_there_and_a_forecast_that_is_not_is_refused() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios");
        for name in [
            "disconnect",
            "large-body",
            "liveness",
            "rollout",
            "route-matrix",
            "stream",
        ] {
            let scenario = crate::scenario::load(&format!("{folder}/{name}.toml"), &[]);
            let mut scenario = scenario.expect("valid");
            assert_eq!(check_scenario(&scenario), Ok(()), "{name}");
            for (variant, cell) in scenario.variants.iter().flat_map(|variant| {
                let cells = scenario
                    .cells
                    .iter()
                    .filter(|cell| cell.has_variant(&variant.name));
                cells.map(move |cell| (variant, cell))
            }) {
                let known = forecasts_of(variant.model, cell);
                for row in forecast_names(&scenario, variant, cell) {
                    assert!(
                        known.contains(&row),
                        "{name}: {row} is on no list of forecasts"
                    );
                }
            }
            let misspelt = "forecast.no_such_row.error > 5%"
                .parse()
                .expect("an expectation");
            scenario.variants[0].fail_if(&misspelt);
            let error = check_scenario(&scenario).expect_err("refused");
            assert!(error.contains("no_such_row"), "{error}");
        }
    }
}
