//! What theory says of a cell, before it is run, and how far off it was. One file for each kind of load.

use std::time::Duration;

use crate::load::hang_ups::forecast as disconnect;
pub use crate::load::requests::forecast::bodies::largest_body;
use crate::load::requests::forecast::{bodies, liveness, routes};
use crate::load::streams::forecast::{chunks, lookups, rollout, streams};

use crate::judge::metric::number;
use crate::scenario::{Cell, Model, Step, Variant};
use crate::summary::{Bound, Forecast, Summary, Unit, Verdict};

/// What a forecast is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The cell.
    pub cell: &'a Cell,
    /// The variant: what a request holds in it decides.
    pub variant: &'a Variant,
    /// Of the scenario: think times depend on it.
    pub seed: u64,
    /// How long the lab took to parse the largest body of the cell, if it was asked to.
    pub parse: Option<Duration>,
}

/// The forecast of one cell of a variant; empty if the cell has no load that the model speaks of. Of a
/// cell with steps, that of each step as if it were alone: health is back between two. What the scenario
/// says that it has no forecast is not in it.
#[must_use]
pub fn forecast(question: Question<'_>) -> Vec<Forecast> {
    let unforecast = question.variant.unforecast(question.cell);
    let mut rows = of_all_loads(question);
    rows.retain(|row| !unforecast.contains(&row.name));
    rows
}

fn of_all_loads(question: Question<'_>) -> Vec<Forecast> {
    let of_step = |step: &Step| {
        let cell = Cell {
            load: question.cell.load_of(step),
            steps: Vec::new(),
            ..question.cell.clone()
        };
        let cell = &cell;
        let rows = of_one_load(Question { cell, ..question }).into_iter();
        let named = |row: Forecast| Forecast {
            name: format!("{}.{}", step.name, row.name),
            metric: format!("steps.{}.{}", step.name, row.metric),
            ..row
        };
        rows.map(named).collect::<Vec<_>>()
    };
    match question.cell.steps.as_slice() {
        [] => of_one_load(question),
        _ if question.variant.model == Model::Rollout => {
            rollout::rollout(question.cell, question.seed)
        }
        steps => steps.iter().flat_map(of_step).collect(),
    }
}

fn of_one_load(question: Question<'_>) -> Vec<Forecast> {
    let cell = question.cell;
    let model = question.variant.model;
    let streams = cell.load.streams.as_ref();
    let predictions = || liveness::Setting::of(cell);
    match model {
        Model::ThreadPerStream => streams.map(|streams| streams::thread_per_stream(cell, streams)),
        Model::OwnPool => streams.map(|streams| streams::own_pool(cell, streams)),
        Model::ThreadPerChunk => streams.map(|streams| chunks::thread_per_chunk(cell, streams)),
        Model::ParseOnWorker => question.parse.map(|parse| bodies::on_worker(cell, parse)),
        Model::ParseOnPool => Some(bodies::on_cpu_pool(cell)),
        Model::ClientPerRequest => streams.map(streams::client_per_request),
        Model::NameLookup => streams.and_then(|streams| lookups::name_lookup(cell, streams)),
        Model::CappedClient => streams.map(|streams| streams::capped_client(cell, streams)),
        Model::Async => streams.map(streams::event_loop),
        Model::DetachedPump
        | Model::NoOpClose
        | Model::MissedDisconnect
        | Model::BlockingZombie
        | Model::NoTimeout
        | Model::Releasing => {
            let hang_ups = cell.load.hang_ups.as_ref();
            hang_ups.map(|load| disconnect::disconnect(cell, load, model))
        }
        // A rollout has steps; without any there is no percentage to speak of.
        Model::None | Model::Rollout => None,
        Model::SharedPool => predictions().map(|setting| liveness::shared_pool(&setting)),
        Model::OnLoop => predictions().map(|setting| liveness::on_loop(&setting)),
        Model::DedicatedThread => predictions().map(|setting| liveness::dedicated_thread(&setting)),
        Model::DedicatedPool => predictions().map(|setting| liveness::dedicated_pool(&setting)),
        Model::Bulkhead => predictions().map(|setting| liveness::bulkhead(&setting)),
        Model::Routes => Some(routes::broken(question)),
        Model::RoutesCured => Some(routes::cured(question)),
    }
    .unwrap_or_default()
}

/// A prediction of `metric`, exact until [`bounded`] says otherwise.
pub(crate) fn row(
    name: &str,
    metric: &str,
    unit: Unit,
    predicted: f64,
    formula: String,
) -> Forecast {
    Forecast {
        name: name.to_owned(),
        metric: metric.to_owned(),
        formula,
        unit,
        predicted,
        limit: None,
        bound: Bound::Exact,
        measured: None,
        measured_censored: false,
        error_percent: None,
        verdict: None,
    }
}

pub(crate) fn bounded(bound: Bound, row: Forecast) -> Forecast {
    Forecast { bound, ..row }
}

/// The event loop has nothing to do but to hand things on.
pub(crate) fn async_never_waits() -> Forecast {
    row(
        "health_async_unanswered",
        "health_async.unanswered",
        Unit::Percent,
        0.0,
        "the event loop is free: an async check never waits".to_owned(),
    )
}

/// Fills in what was measured and by how much the prediction was off.
pub fn settle(rows: &mut [Forecast], summary: &Summary) {
    for row in rows {
        let Some((measured, censored)) = number(&row.metric, summary) else {
            continue;
        };
        row.measured = Some(measured);
        row.measured_censored = censored;
        row.verdict = Some(verdict(row, measured, censored));
        row.error_percent = match row.verdict {
            Some(Verdict::Measured) if row.predicted == 0.0 => Some(0.0),
            Some(Verdict::Measured) => Some(100.0 * (measured - row.predicted) / row.predicted),
            _ => None,
        };
    }
}

/// By how much, in percent, a measurement may be on the wrong side of a bound. The law knows neither that
/// a histogram has three significant digits nor that timers and schedulers round to a millisecond, so
/// that 499.967 ms do not refute "at least 500 ms"; what a wrong theory is off by is far more.
const TOLERANCE_PERCENT: f64 = 1.0;

/// Bounds that cannot both be true refute the prediction, and so does anything where nothing was
/// predicted: how far off it was has no number, but it must not pass for unknown.
fn verdict(row: &Forecast, measured: f64, measured_censored: bool) -> Verdict {
    // What is counted has no digits to lose.
    let slack = match row.unit {
        Unit::Count => 0.0,
        Unit::Us | Unit::Percent | Unit::PerSecond => {
            row.predicted.abs() * TOLERANCE_PERCENT / 100.0
        }
    };
    let is_at_least = measured >= row.predicted - slack;
    let is_at_most = measured <= row.predicted + slack;
    let holds = match (row.bound, measured_censored) {
        (Bound::Exact, false) if row.predicted != 0.0 || measured == 0.0 => {
            return Verdict::Measured;
        }
        (Bound::Exact, false) => false,
        // The true value is at least what was measured.
        (Bound::Exact, true) => is_at_most,
        (Bound::AtLeast, true) => true,
        (Bound::AtLeast, false) => is_at_least,
        (Bound::AtMost, censored) => !censored && is_at_most,
    };
    if holds {
        Verdict::Within
    } else {
        Verdict::Refuted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_prediction_is_refuted_and_not_unknown() {
        let refuted = |bound, predicted, measured, censored| {
            let row = Forecast {
                bound,
                ..row("x", "x.p50", Unit::Us, predicted, String::new())
            };
            verdict(&row, measured, censored) == Verdict::Refuted
        };
        assert!(refuted(Bound::Exact, 0.0, 16.0, false));
        assert!(refuted(Bound::Exact, 20.0, 3_000.0, true));
        assert!(refuted(Bound::AtLeast, 1_000.0, 344.0, false));
        assert!(refuted(Bound::AtMost, 10.0, 11.0, false));
        assert!(!refuted(Bound::Exact, 0.0, 0.0, false));
        assert!(!refuted(Bound::AtLeast, 1_000.0, 1_000.0, true));
        assert!(!refuted(Bound::AtMost, 10.0, 0.4, false));
    }

    /// The files whose expectations this is about, with each variant and cell of both forms.
    fn each_of_the_published(ask: impl Fn(&str, &Variant, &Cell, Question<'_>)) {
        for name in ["disconnect", "liveness", "rollout", "route-matrix"] {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios");
            let scenario = crate::scenario::load(&format!("{folder}/{name}.toml"), &[]);
            let scenario = scenario.expect("valid");
            for cell in scenario.cells.iter().chain(&scenario.quick_cells) {
                let variants = scenario.variants.iter();
                for variant in variants.filter(|one| cell.has_variant(&one.name)) {
                    let question = Question {
                        cell,
                        variant,
                        seed: scenario.seed,
                        parse: None,
                    };
                    ask(name, variant, cell, question);
                }
            }
        }
    }

    #[test]
    fn what_is_expected_of_a_forecast_is_forecast_in_each_form() {
        each_of_the_published(|name, variant, cell, question| {
            let asked: Vec<_> = variant
                .expectations(cell)
                .into_iter()
                .filter_map(|one| {
                    let row = one.metric.strip_prefix("forecast.")?;
                    row.strip_suffix(".error").map(str::to_owned)
                })
                .collect();
            let rows = if asked.is_empty() {
                Vec::new()
            } else {
                forecast(question)
            };
            for row in asked {
                assert!(
                    rows.iter()
                        .any(|one| one.name == row && one.bound == Bound::Exact),
                    "{name} / {} / {}: no {row}",
                    cell.name,
                    variant.name
                );
            }
        });
    }

    #[test]
    fn what_is_said_to_have_no_forecast_is_not_in_it_and_would_be() {
        let taken_away = std::cell::Cell::new(0);
        let rows_named = std::cell::RefCell::new(std::collections::BTreeMap::new());
        each_of_the_published(|name, variant, cell, question| {
            let unforecast = variant.unforecast(cell);
            if unforecast.is_empty() {
                return;
            }
            let left = forecast(question);
            let all = of_all_loads(question);
            taken_away.set(taken_away.get() + all.len() - left.len());
            for row in unforecast {
                assert!(left.iter().all(|one| one.name != row), "{name}: {row}");
                let would_be = all.iter().any(|one| one.name == row);
                let mut named = rows_named.borrow_mut();
                *named.entry((name.to_owned(), row)).or_insert(false) |= would_be;
            }
        });
        assert!(taken_away.get() > 0);
        let misspelt = rows_named.into_inner().into_iter().filter(|one| !one.1);
        assert_eq!(misspelt.collect::<Vec<_>>(), []);
    }

    #[test]
    fn a_bound_is_not_refuted_by_what_a_histogram_rounds_and_a_count_by_one() {
        let refuted = |bound, unit, predicted, measured| {
            let row = Forecast {
                bound,
                ..row("x", "x", unit, predicted, String::new())
            };
            verdict(&row, measured, false) == Verdict::Refuted
        };
        assert!(!refuted(Bound::AtLeast, Unit::Us, 499_999.99, 499_967.0));
        assert!(refuted(Bound::AtLeast, Unit::Us, 500_000.0, 494_000.0));
        assert!(!refuted(Bound::AtMost, Unit::Us, 10_000.0, 10_090.0));
        assert!(refuted(Bound::AtMost, Unit::Us, 10_000.0, 10_110.0));
        assert!(refuted(Bound::AtMost, Unit::Count, 200.0, 201.0));
        assert!(refuted(Bound::AtMost, Unit::Percent, 0.0, 0.1));
    }
}
