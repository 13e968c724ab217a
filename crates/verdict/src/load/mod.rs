//! The kinds of load, one folder each: its table in a scenario file, its record, its figures in the
//! summary, its forecast, and when its measurement is doubted.
//!
//! To add a kind, add a folder, a place in `parts.rs` and a line in `KINDS`.

mod delivery;
pub mod hang_ups;
pub mod kubelet;
mod parts;
pub mod requests;
pub mod streams;
mod table;

pub use delivery::Delivery;
pub(crate) use delivery::{LATE_FLOOR_US, NOT_SENT_PERCENT, shown};
pub(crate) use parts::LoadInterval;
pub use parts::{Load, LoadEvent, LoadPhase, LoadRecorder};
pub(crate) use table::{Parameters, Table};

use crate::forecast::Model;
use crate::scenario::Cell;

/// What each kind offers to code that goes through all kinds.
pub(crate) struct Kind {
    /// The laws that speak of it.
    pub models: &'static [Model],
    /// What the laws may forecast, for any size of the load. `<class>` and `<endpoint>` stand for those of
    /// the cell.
    pub forecasts: &'static [&'static str],
    /// Why its measurement proves nothing, each reason with what to do about it.
    pub doubts: fn(Delivery<'_>) -> Vec<String>,
}

/// Every kind.
pub(crate) const KINDS: [Kind; 4] = [
    Kind {
        models: streams::forecast::MODELS,
        forecasts: streams::forecast::FORECASTS,
        doubts: streams::doubts::doubts,
    },
    Kind {
        models: requests::forecast::MODELS,
        forecasts: requests::forecast::FORECASTS,
        doubts: requests::doubts::doubts,
    },
    Kind {
        models: hang_ups::forecast::MODELS,
        forecasts: hang_ups::forecast::FORECASTS,
        doubts: hang_ups::doubts::doubts,
    },
    Kind {
        models: &[Model::NONE],
        forecasts: &[],
        doubts: kubelet::doubts::doubts,
    },
];

/// Every model that a variant may have.
pub(crate) fn models() -> impl Iterator<Item = Model> {
    KINDS.iter().flat_map(|kind| kind.models.iter().copied())
}

/// What may be forecast of a cell in a variant of this model, whatever the size of its load.
pub(crate) fn forecasts_of(model: Model, cell: &Cell) -> Vec<String> {
    let of_model = KINDS.iter().filter(|kind| kind.models.contains(&model));
    let endpoints = cell.endpoint_names();
    let names = of_model.flat_map(|kind| kind.forecasts).flat_map(|name| {
        let (place, fills): (_, Vec<&String>) = if name.contains("<class>") {
            ("<class>", cell.load.requests.keys().collect())
        } else {
            ("<endpoint>", endpoints.iter().collect())
        };
        match name.contains(place) {
            true => fills.iter().map(|fill| name.replace(place, fill)).collect(),
            false => vec![(*name).to_owned()],
        }
    });
    if cell.steps.is_empty() {
        return names.collect();
    }
    let of_step = |name: String| {
        cell.steps
            .iter()
            .map(move |step| format!("{}.{name}", step.name))
    };
    names.flat_map(of_step).collect()
}

/// The model of this name.
pub(crate) fn model(name: &str) -> Option<Model> {
    models().find(|model| model.name() == name)
}
