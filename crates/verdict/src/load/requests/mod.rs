//! Requests by classes, of an open or a closed loop.

pub(crate) mod forecast;
mod metrics;
mod record;
mod spec;

pub(crate) use metrics::METRICS;
pub use record::{ClassRecorder, RequestInterval, RequestRecord, Window};
pub use spec::{Arrivals, BodyKind, Method, Requests, Think};
