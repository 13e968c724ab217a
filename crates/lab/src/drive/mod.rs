//! Makes the load. Each kind of load has a file; each runs on an OS thread and a runtime of its own
//! and reports to a [`crate::measure::Collector`].

mod body;
mod chunk;
mod hang_ups;
mod kubelet;
mod load;
mod load_thread;
mod requests;
mod sse;
mod streams;

pub use body::json_body;
pub use chunk::{Chunk, Reading, read_chunk};
pub use hang_ups::HangUpLoad;
pub use kubelet::Kubelet;
pub use load::{Load, Target};
pub use requests::RequestLoad;
pub use sse::SseReader;
pub use streams::{Pace, StreamLoad, StreamPlan, StreamRequest};
