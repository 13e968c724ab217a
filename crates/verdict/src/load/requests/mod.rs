//! Requests by classes, of an open or a closed loop.

pub(super) mod doubts;
mod figures;
pub mod forecast;
mod metrics;
mod record;
mod spec;

pub use figures::{Little, Loop, RequestFigures};
pub(crate) use metrics::METRICS;
pub use record::{ClassRecorder, RequestEvent, RequestInterval, RequestRecorder};
pub use spec::{Arrivals, BodyKind, RequestSpec, Think};
