//! Slow streams, each on a connection of its own.

mod assignment;
pub(super) mod doubts;
mod figures;
pub(super) mod forecast;
mod metrics;
mod receiving;
mod record;
mod spec;

pub use assignment::{Assignment, with_number, with_seed};
pub use figures::StreamFigures;
pub(crate) use metrics::METRICS;
pub use receiving::Receiving;
pub use record::{StreamEnding, StreamEvent, StreamRecord, StreamRecorder, StreamStart};
pub use spec::StreamSpec;
