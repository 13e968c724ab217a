//! Slow streams, each on a connection of its own.

mod assignment;
pub(crate) mod forecast;
mod record;
mod spec;

pub use assignment::{Assignment, with_number, with_seed};
pub use record::{StreamEnding, StreamRecord, StreamRecorder, StreamStart};
pub use spec::Streams;
