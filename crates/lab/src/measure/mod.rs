//! Measures: an open-loop probe, what it records, the log of intervals, the resources of processes.

mod accumulated;
mod bulkhead;
mod collector;
mod distribution;
pub mod gauges;
mod interval_log;
mod kubelet;
mod live_pid;
mod local;
mod metronome;
mod priority;
mod probe;
mod recorder;
mod requests;
mod resources;
mod sampler;
mod segment;
mod stream;
mod tick;
mod timeline;

pub use collector::{Collector, Event, Pids, Recorded, Resources, Setup};
pub use distribution::{Censored, distribution, histogram, lateness, record};
pub use kubelet::{KubeletEvent, KubeletRecorder};
pub use live_pid::LivePid;
pub use local::is_local;
pub use metronome::Plan;
pub use priority::prefer_this_thread;
pub use probe::{Endpoint, Prober, ask};
pub use recorder::Recorder;
pub use requests::{ClassRecorder, RequestRecord, Window};
pub use resources::{busy_and_total, host, sample, started_ticks};
pub use sampler::Sources;
pub use segment::{Segment, Segments};
pub use stream::{StreamEnding, StreamRecord, StreamRecorder};
pub use tick::{Outcome, Tick};
