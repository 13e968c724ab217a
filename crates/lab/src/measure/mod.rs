//! Measures: an open-loop probe, what it records, the log of intervals, the resources of processes.

mod collector;
mod count;
mod interval_log;
mod levels;
mod live_pid;
mod local;
mod metronome;
mod priority;
mod probe;
mod resources;
mod sampler;
mod segment;
mod timeline;
mod upstream_ledger;

pub use collector::{Collector, Pids, Setup};
pub use count::Count;
pub use levels::{LEVELS_TAKE, read_levels};
pub use live_pid::LivePid;
pub use local::{is_local, is_local_io};
pub use priority::prefer_this_thread;
pub use probe::{Endpoint, Prober, ask};
pub use resources::{busy_and_total, descendants, host, sample, started_ticks};
pub use sampler::Sources;
pub use segment::Segments;
pub use upstream_ledger::{open_streams, read_ledgers, unix_us};
