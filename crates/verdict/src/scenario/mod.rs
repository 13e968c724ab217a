//! What to run: parse, validate, explain. Knows nothing of the rest.

mod cell;
pub(crate) mod duration;
mod expectation;
mod file;
mod model;
mod parse;
pub(crate) mod ranges;
mod resolve;
mod step;
mod target;

pub use crate::load::hang_ups::{HangUpStage, HangUps, Leave};
pub use crate::load::kubelet::{Kubelet, KubeletProbe, ProbeRules};
pub use crate::load::requests::{Arrivals, BodyKind, Method, Requests, Think};
pub use crate::load::streams::Streams;
pub use crate::load::streams::{Assignment, with_number, with_seed};
pub use cell::{
    Cell, Form, LEAST_CHECKS, Load, Phases, Probe, Runtime, ServerParameters, UpstreamParameters,
};
pub use duration::Time;
pub use expectation::{Expectation, Operator, Value};
pub use model::Model;
#[cfg(test)]
pub(crate) use parse::load;
pub use parse::{ScenarioError, parse, parse_with};
pub use resolve::{FieldReport, NoForecast, Scenario, Variant};
pub use step::{Action, Step};
pub use target::Target;
