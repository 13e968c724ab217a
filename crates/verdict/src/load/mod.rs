//! The kinds of load, a room each: what a file says of it, what is recorded of it, what the summary has of
//! it, what theory says of it, and when it is doubted.
//!
//! Whoever adds a kind adds a folder, a place in [`parts`] and a line in [`KINDS`].

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

/// What one kind has for those who go through all of them.
pub(crate) struct Kind {
    /// The laws that speak of it.
    pub models: &'static [Model],
    /// Why what was measured of it proves nothing, each reason with what to do about it.
    pub doubts: fn(Delivery<'_>) -> Vec<String>,
}

/// Every kind.
pub(crate) const KINDS: [Kind; 4] = [
    Kind {
        models: streams::forecast::MODELS,
        doubts: streams::doubts::doubts,
    },
    Kind {
        models: requests::forecast::MODELS,
        doubts: requests::doubts::doubts,
    },
    Kind {
        models: hang_ups::forecast::MODELS,
        doubts: hang_ups::doubts::doubts,
    },
    Kind {
        models: &[Model::NONE],
        doubts: kubelet::doubts::doubts,
    },
];

/// Every model that a variant may have.
pub(crate) fn models() -> impl Iterator<Item = Model> {
    KINDS.iter().flat_map(|kind| kind.models.iter().copied())
}

/// The model of this name.
pub(crate) fn model(name: &str) -> Option<Model> {
    models().find(|model| model.name() == name)
}
