//! What must be known before a run: whom it asks, what it measures, and what a forecast needs.

use crate::exit::Usage;
use crate::http::{INSECURE, Reach, bearer};
use crate::measure::why_not;
use crate::reach::reach;
use crate::run::Calibration;
use crate::stage::StageError;
use verdict::judge::known;
use verdict::record::InFlight;
use verdict::scenario::{Cell, Scenario, Target, Variant};

/// The variants in which any of these cells is run: one without leaves no folder behind.
pub(super) fn with_a_cell(variants: &[Variant], cells: &[Cell]) -> Vec<Variant> {
    let has_cell = |variant: &&Variant| cells.iter().any(|cell| cell.has_variant(&variant.name));
    variants.iter().filter(has_cell).cloned().collect()
}

/// How the targets of these cells are reached, if that is allowed and what is named on this machine is there;
/// what bounds the load is said first.
pub(super) fn reach_of(cells: &[Cell], say: impl Fn(&str)) -> anyhow::Result<Reach> {
    let mut all = Reach::default();
    for cell in cells {
        let Some(target) = &cell.target else {
            continue;
        };
        let one = reach(target)?;
        if let Some(name) = &target.bearer_env {
            bearer(name)?;
        }
        if let Some(problem) = target.pid.and_then(why_not) {
            return Err(StageError::Target(problem).into());
        }
        say(&caps(target, cell.probe.rate));
        all.addresses.extend(one.addresses);
    }
    let mut targets = cells.iter().filter_map(|cell| cell.target.as_ref());
    if targets.any(|target| target.insecure) {
        say(INSECURE);
    }
    Ok(all)
}

fn caps(target: &Target, checks: f64) -> String {
    format!(
        "At most {} streams at once, {} begun a second, {} from the first to the last.\n\
         {checks} checks a second of each health URL, at most {} of them in flight.\n",
        target.max_streams,
        target.max_rate,
        humantime::format_duration(target.max_time),
        InFlight::MOST
    )
}

/// What the forecasts of these cells need to know of this machine.
pub(super) fn calibration(cells: &[Cell], variants: &[Variant]) -> Calibration {
    let models: Vec<_> = variants.iter().map(|variant| variant.model).collect();
    Calibration::measure(cells.iter(), &models)
}

/// An expectation of what does not exist would only fail after the run.
pub(super) fn check_metrics(scenario: &Scenario) -> Result<(), Usage> {
    known::check_scenario(scenario).map_err(Usage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario_files;

    #[test]
    fn a_variant_without_a_cell_in_the_short_form_is_no_part_of_the_plan() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/stream.toml");
        let scenario = scenario_files::load(path, &[]).expect("valid");
        let planned = with_a_cell(&scenario.variants, &scenario.quick_cells);
        let is_planned = |name: &str| planned.iter().any(|variant| variant.name == name);
        assert!(is_planned("broken-dns") && is_planned("fixed"));
        // It has one in the full form alone.
        assert!(!is_planned("broken-capped"));
    }
}
