//! Slow streams, each on a connection of its own.

mod assignment;
pub(crate) mod forecast;
mod metrics;
mod record;
mod spec;

pub use assignment::{Assignment, with_number, with_seed};
pub(crate) use metrics::METRICS;
pub use record::{StreamEnding, StreamRecord, StreamRecorder, StreamStart};
pub use spec::Streams;
