//! Measures: an open-loop probe, what it records, the log of intervals, the resources of processes.

mod clock;
mod collector;
mod count;
mod interval_log;
mod live_pid;
mod local;
mod metronome;
mod pids;
mod priority;
mod probe;
mod resources;
mod results;
mod sampler;
mod timeline;

pub use clock::CellClock;
pub use collector::{Collector, Setup};
pub use count::Count;
pub use live_pid::LivePid;
pub use local::{is_local, is_local_io};
pub use pids::Pids;
pub use priority::prefer_this_thread;
pub use probe::{Endpoint, Manner, Prober, ask, in_time};
pub use resources::{
    busy_and_total, command_line, descendants, host, listener, sample, started_ticks, why_not,
};
pub use results::Results;
pub use sampler::{Sources, get};
