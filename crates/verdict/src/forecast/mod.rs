//! What theory says of a cell, before it is run, and how far off it was. The laws stand with the kinds of
//! load that they speak of.

mod model;
pub(crate) mod pool_queue;
mod question;
pub(crate) mod row;

use crate::metrics::number;
use crate::scenario::{Cell, Step, Variant};
use crate::summary::{Bound, Forecast, Summary, Unit, Verdict};

pub use crate::load::requests::forecast::{PARSE_ON_WORKER, largest_body};
pub use model::Model;
pub use question::Question;

/// The forecast of one cell of a variant; empty if the cell has no load that its model speaks of. Of a
/// cell with steps, that of each step as if it were alone: health is back between two. What the scenario
/// says that it has no forecast is not in it.
#[must_use]
pub fn forecast(variant: &Variant, question: Question<'_>) -> Vec<Forecast> {
    let unforecast = variant.unforecast(question.cell);
    let mut rows = of_all_loads(variant.model, question);
    rows.retain(|row| !unforecast.contains(&row.name));
    rows
}

fn of_all_loads(model: Model, question: Question<'_>) -> Vec<Forecast> {
    let steps = &question.cell.steps;
    if steps.is_empty() {
        return model.forecast(question);
    }
    let of_step = |step: &Step| {
        let cell = &Cell {
            load: question.cell.load_of(step),
            steps: Vec::new(),
            ..question.cell.clone()
        };
        let rows = model.forecast(Question { cell, ..question });
        let named = |row: Forecast| Forecast {
            name: format!("{}.{}", step.name, row.name),
            metric: format!("steps.{}.{}", step.name, row.metric),
            ..row
        };
        rows.into_iter().map(named).collect::<Vec<_>>()
    };
    steps.iter().flat_map(of_step).collect()
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
        let is_value = row.verdict == Some(Verdict::Measured);
        row.error_percent = is_value.then(|| 100.0 * (measured - row.predicted) / row.predicted);
    }
}

/// By how much, in percent, a measurement may be on the wrong side of a bound. The law knows neither that
/// a histogram has three significant digits nor that timers and schedulers round to a millisecond, so
/// that 499.967 ms do not refute "at least 500 ms"; what a wrong theory is off by is far more.
const TOLERANCE_PERCENT: f64 = 1.0;

/// Bounds that cannot both be true refute the prediction. Of a prediction of 0 no error is a share: what
/// was measured is 0 as well, or refutes it.
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
        (Bound::Exact, false) if row.predicted != 0.0 => return Verdict::Measured,
        (Bound::Exact, false) => measured == 0.0,
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
    use std::time::Duration;

    use super::row::micros;
    use super::*;

    #[test]
    fn a_wrong_prediction_is_refuted_and_not_unknown() {
        let refuted = |bound, predicted, measured, censored| {
            let row = Forecast {
                bound,
                ..micros("x", "x.p50", predicted)
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

    #[test]
    fn a_forecast_of_nothing_that_is_met_has_no_error_and_is_met() {
        let mut run = crate::sample::summary();
        let nothing = |metric| row::number("x", metric, 0.0);
        run.forecast = vec![nothing("streams.unserved"), nothing("streams.started")];
        let mut rows = run.forecast.clone();
        settle(&mut rows, &run);
        let [met, missed] = rows.try_into().expect("two rows");
        assert_eq!(
            (met.verdict, met.error_percent),
            (Some(Verdict::Within), None)
        );
        assert_eq!(
            (missed.verdict, missed.error_percent),
            (Some(Verdict::Refuted), None)
        );
        for (row, error) in [(met, Some((0.0, false))), (missed, None)] {
            run.forecast = vec![row];
            assert_eq!(number("forecast.x.error", &run), error);
        }
    }

    /// The files whose expectations this is about, with each variant and cell of both forms.
    fn each_of_the_published(ask: impl Fn(&str, &Variant, &Cell, Question<'_>)) {
        for name in [
            "disconnect",
            "large-body",
            "liveness",
            "rollout",
            "route-matrix",
            "stream",
        ] {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios");
            let scenario = crate::scenario::load(&format!("{folder}/{name}.toml"), &[]);
            let scenario = scenario.expect("valid");
            for cell in scenario.cells.iter().chain(&scenario.quick_cells) {
                let variants = scenario.variants.iter();
                for variant in variants.filter(|one| cell.has_variant(&one.name)) {
                    let question = Question {
                        cell,
                        seed: scenario.seed,
                        parse: Some(Duration::from_millis(600)),
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
                forecast(variant, question)
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
            // A short stall is seen in another percentile than a long one.
            let short = Question {
                parse: Some(Duration::from_millis(60)),
                ..question
            };
            let left = [forecast(variant, question), forecast(variant, short)].concat();
            let of_all = |question| of_all_loads(variant.model, question);
            let all = [of_all(question), of_all(short)].concat();
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
                unit,
                ..micros("x", "x", predicted)
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
