//! Makes the load. Each kind of load has a folder; each runs on an OS thread and a runtime of its own
//! and reports to a [`crate::measure::Collector`].

mod cell_load;
mod chunk;
mod hang_ups;
mod kubelet;
mod load_thread;
mod requests;
mod sse;
mod streams;

pub use cell_load::{Load, Target};
pub use chunk::{Chunk, Reading, read_chunk};
pub use hang_ups::HangUpLoad;
pub use kubelet::Kubelet;
pub use requests::{RequestLoad, json_body};
pub use sse::SseReader;
pub use streams::{Pace, StreamLoad, StreamPlan, StreamRequest};
