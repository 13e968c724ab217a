//! What to run: parse, validate, explain. Knows nothing of the rest.

mod built_in;
mod cell;
mod duration;
mod expectation;
mod file;
mod hang_ups;
mod kubelet;
mod load;
mod model;
mod ranges;
mod requests;
mod resolve;
mod rollout;
mod step;
mod streams;
mod target;

pub use cell::{
    Cell, Form, LEAST_CHECKS, Load, Phases, Probe, Runtime, ServerParameters, UpstreamParameters,
};
pub use duration::Time;
pub use expectation::{Expectation, Operator, Value};
pub use hang_ups::{HangUpStage, HangUps, Leave};
pub use kubelet::{Kubelet, KubeletProbe, ProbeRules};
pub use load::{ScenarioError, load, names, parse};
pub use model::Model;
pub use requests::{Arrivals, BodyKind, Method, Requests, Think};
pub use resolve::{FieldReport, NoForecast, Scenario, Variant};
pub use rollout::{Assignment, with_number, with_seed};
pub use step::{Action, Step};
pub use streams::Streams;
pub use target::Target;
