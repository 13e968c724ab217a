//! What was measured of a cell, put together without a clock: checks, streams, requests, processes. Events
//! go in, with the time at which each was seen; figures come out.

mod backlog;
mod bulkhead;
mod counter;
mod distribution;
mod event;
mod gauge_usage;
mod gauges;
mod ledger;
mod levels;
mod plan;
mod recorded;
mod recorder;
mod segment;
mod tick;
mod usage;
mod watch;

pub use backlog::{LATER, LEAST_WATCH};
pub use distribution::{Censored, distribution, histogram, lateness, record};
pub use event::{Event, Resources};
pub use gauge_usage::GaugeUsage;
pub use gauges::{
    BackgroundGauges, BulkheadGauges, LoopGauges, PoolGauges, RelayGauges, ServerGauges,
    UpstreamLateness, UpstreamStats,
};
pub use ledger::{LedgerLook, LedgerStream};
pub use levels::Levels;
pub use plan::Plan;
pub use recorded::{Recorded, RecordedPids, StepRecord};
pub use recorder::{Recorder, Series};
pub use segment::{Part, Segment};
pub use tick::{Outcome, Tick};
pub use usage::{HostCpu, ProcessSample, ProcessUsage};
pub use watch::{Figures, Look, Pair, WatchLog};
