//! What theory says of a cell, before it is run, and how far off it was. One file for each kind of load.

mod bodies;
mod chunks;
mod disconnect;
mod liveness;
mod rollout;
mod routes;
mod streams;

use std::time::Duration;

pub use bodies::largest_body;

use super::metric::number;
use crate::scenario::{Cell, Model, Step};
use crate::summary::{Bound, Forecast, Summary, Unit, Verdict};

/// What a forecast is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The cell.
    pub cell: &'a Cell,
    /// What a request holds, in the variant.
    pub model: Model,
    /// Of the scenario: think times depend on it.
    pub seed: u64,
    /// How long the lab took to parse the largest body of the cell, if it was asked to.
    pub parse: Option<Duration>,
}

/// The forecast of one cell of a variant; empty if the cell has no load that the model speaks of. Of a
/// cell with steps, that of each step as if it were alone: health is back between two.
#[must_use]
pub fn forecast(question: Question<'_>) -> Vec<Forecast> {
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
        _ if question.model == Model::Rollout => rollout::rollout(question.cell, question.seed),
        steps => steps.iter().flat_map(of_step).collect(),
    }
}

fn of_one_load(question: Question<'_>) -> Vec<Forecast> {
    let Question { cell, model, .. } = question;
    let streams = cell.load.streams.as_ref();
    let predictions = || liveness::Setting::of(cell);
    match model {
        Model::ThreadPerStream => streams.map(|streams| streams::thread_per_stream(cell, streams)),
        Model::ThreadPerChunk => streams.map(|streams| chunks::thread_per_chunk(cell, streams)),
        Model::ParseOnWorker => question.parse.map(|parse| bodies::on_worker(cell, parse)),
        Model::ParseOnPool => Some(bodies::on_cpu_pool(cell)),
        Model::ClientPerRequest => streams.map(streams::client_per_request),
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
        Model::Bulkhead => predictions().map(|setting| liveness::bulkhead(&setting)),
        Model::Routes => Some(routes::broken(question)),
        Model::RoutesCured => Some(routes::cured(question)),
    }
    .unwrap_or_default()
}

/// A prediction of `metric`, exact until [`bounded`] says otherwise.
fn row(name: &str, metric: &str, unit: Unit, predicted: f64, formula: String) -> Forecast {
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

fn bounded(bound: Bound, row: Forecast) -> Forecast {
    Forecast { bound, ..row }
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

/// Bounds that cannot both be true refute the prediction, and so does anything where nothing was
/// predicted: how far off it was has no number, but it must not pass for unknown.
fn verdict(row: &Forecast, measured: f64, measured_censored: bool) -> Verdict {
    let holds = match (row.bound, measured_censored) {
        (Bound::Exact, false) if row.predicted != 0.0 || measured == 0.0 => {
            return Verdict::Measured;
        }
        (Bound::Exact, false) => false,
        // The true value is at least what was measured.
        (Bound::Exact, true) => measured <= row.predicted,
        (Bound::AtLeast, true) => true,
        (Bound::AtLeast, false) => measured >= row.predicted,
        (Bound::AtMost, censored) => !censored && measured <= row.predicted,
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
}
