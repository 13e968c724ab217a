//! Makes the load. Each kind of load has a file; each runs on an OS thread and a runtime of its own
//! and reports to a [`crate::measure::Collector`].

mod chunk;
mod sse;
mod streams;

pub use chunk::{Chunk, read_chunk};
pub use sse::SseReader;
pub use streams::StreamLoad;
