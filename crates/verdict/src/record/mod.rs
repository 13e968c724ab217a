//! What was measured of a cell, put together without a clock: checks, load, processes. Events go in, with
//! the time at which each was seen; figures come out.

mod backlog;
mod bulkhead;
mod closed_loop;
mod columns;
mod counter;
mod distribution;
mod event;
mod gauge_usage;
mod gauges;
mod in_flight;
mod interval;
mod plan;
mod recorded;
mod recorder;
mod segment;
mod tick;
pub mod timeline;
mod usage;
mod watch;

pub use backlog::{LATER, LEAST_WATCH};
pub use columns::Columns;
pub use distribution::{Censored, Times};
pub use event::{Event, Resources};
pub use gauge_usage::GaugeUsage;
pub use gauges::{
    BackgroundGauges, BulkheadGauges, LoopGauges, PoolGauges, RelayGauges, ServerGauges,
    UpstreamLateness, UpstreamStats,
};
pub use in_flight::InFlight;
pub use interval::Interval;
pub use plan::Plan;
pub use recorded::{Recorded, RecordedPids, StepRecord, When};
pub use recorder::{Recorder, Series};
pub use segment::{Part, Segment, Timetable, Window};
pub use tick::{Outcome, Tick};
pub use usage::{HostCpu, ProcessSample, ProcessUsage};
pub use watch::{Figures, Look, Row, WatchLog};
