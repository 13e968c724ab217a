//! What to run: parse, validate, explain. Knows nothing of the rest.

mod cell;
pub(crate) mod duration;
mod expectation;
mod file;
mod method;
mod parse;
pub(crate) mod ranges;
mod resolve;
mod step;
mod target;

pub use cell::{
    Cell, Form, LEAST_CHECKS, LEAST_CHECKS_OF_TARGET, PhaseLengths, ProbeSpec, Runtime,
    ServerParameters, UpstreamParameters,
};
pub use duration::Time;
pub use expectation::{Expectation, Operator, Value};
pub use file::FieldReport;
pub use method::Method;
pub use parse::{ScenarioError, parse, parse_with};
pub use resolve::{NoForecast, Scenario, Variant};
pub use step::{Action, Step};
pub use target::Target;

#[cfg(test)]
pub(crate) use crate::sample::load;
