//! Measures: an open-loop probe, what it records, the log of intervals, the resources of processes.

mod collector;
mod distribution;
pub mod gauges;
mod hang_ups;
mod interval_log;
mod levels;
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
mod upstream_ledger;

pub use collector::{Collector, Event, Pids, Recorded, Resources, Setup};
pub use distribution::{Censored, distribution, histogram, lateness, record};
pub use hang_ups::{HangUp, HangUpEnding, HangUpEvent, HangUpRecorder, ROW_ID, Release};
pub use levels::{LEVELS_TAKE, Levels};
pub use local::{is_local, is_local_io};
pub use metronome::Plan;
pub use probe::{Endpoint, Prober};
pub use recorder::Recorder;
pub use requests::{ClassRecorder, RequestRecord, Window};
pub use resources::{busy_and_total, host, sample, started_ticks};
pub use sampler::Sources;
pub use segment::{Segment, Segments};
pub use stream::{StreamEnding, StreamRecord, StreamRecorder};
pub use tick::{Outcome, Tick};
pub use upstream_ledger::{LedgerLook, LedgerStream, open_streams, read_ledgers, unix_us};
