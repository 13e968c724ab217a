//! Requests by classes, of an open or a closed loop.

pub(crate) mod forecast;
mod record;
mod spec;

pub use record::{ClassRecorder, RequestInterval, RequestRecord, Window};
pub use spec::{Arrivals, BodyKind, Method, Requests, Think};
