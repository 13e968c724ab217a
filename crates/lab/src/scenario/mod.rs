//! What to run: parse, validate, explain. Knows nothing of the rest.

mod duration;
mod expectation;
mod file;
mod load;
mod resolve;

pub use duration::Time;
pub use expectation::{Expectation, Operator, Value};
pub use load::{ScenarioError, load, names};
pub use resolve::{Cell, Load, Model, Phases, Probe, Scenario, ServerParameters, Streams, Variant};
