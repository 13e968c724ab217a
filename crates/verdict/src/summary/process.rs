use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A process of the run; `null` where the platform does not tell.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// Its process number.
    pub pid: Option<u32>,
    /// Largest resident memory.
    pub rss_peak_bytes: Option<u64>,
    /// Resident memory at the end of the cell.
    pub rss_end_bytes: Option<u64>,
    /// CPU time over the whole cell.
    pub cpu_us: Option<u64>,
    /// CPU time in the hold, in percent of one core.
    pub cpu_percent: Option<f64>,
    /// Most threads at once.
    pub threads_peak: Option<u64>,
    /// Most open files at once.
    pub fds_peak: Option<u64>,
    /// Its blocking pool, if it has gauges.
    pub pool: Option<Pool>,
    /// Its bulkhead, if it has gauges of one.
    pub bulkhead: Option<Bulkhead>,
    /// Longest lag of its event loop during the load, if it has gauges.
    pub loop_lag_us_peak: Option<u64>,
    /// Work that goes on after its response, if it has gauges.
    pub background: Option<Background>,
    /// How long the parts of a request took, by the server's own clock and by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub timings: BTreeMap<String, Timing>,
    /// How large the bodies of each client were: bucket to count.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sizes: BTreeMap<String, BTreeMap<String, u64>>,
}

/// Work that goes on after its response, by the server's own gauges.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Background {
    /// Accepted and not finished at the end of the load.
    pub pending_end: Option<u64>,
    /// The same a minute later, or when the cell ended.
    pub pending_later: Option<u64>,
    /// How much later that was.
    pub later_us: Option<u64>,
    /// Most pending that were seen.
    pub pending_peak: u64,
    /// Finished by the end of the cell.
    pub completed: u64,
    /// Refused by the end of the cell.
    pub refused: u64,
    /// From the end of the load until none is pending.
    pub drain_us: Option<u64>,
    /// Whether `drain_us` was not waited for: it follows from how fast the backlog shrank until then.
    pub drain_extrapolated: bool,
}

/// How long a part of a request took, over the whole cell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Timing {
    pub count: u64,
    pub mean_us: u64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
}

/// A blocking pool under load, by the server's own gauges.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Threads it may have.
    pub capacity: u64,
    /// Most threads busy at once.
    pub busy_peak: u64,
    /// Most jobs queued at once.
    pub queued_peak: u64,
    /// Longest that a job had waited in the queue.
    pub oldest_wait_us_peak: u64,
    /// Thread time in use during the hold, in percent of what the capacity allows.
    pub busy_percent: Option<f64>,
}

/// A bounded pool of its own for one class of work, by looks at the server's own gauges in the hold.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bulkhead {
    /// Threads it may have.
    pub capacity: u64,
    /// Places in its queue; `null` if nothing bounds it.
    pub queue_limit: Option<u64>,
    /// Most threads seen busy at once.
    pub busy_peak: u64,
    /// Most jobs seen queued at once.
    pub queued_peak: u64,
    /// Longest that a job was seen to have waited in the queue.
    pub oldest_wait_us_peak: u64,
    /// Jobs refused, over the whole cell.
    pub refused: u64,
    /// Jobs completed a second in the hold, whoever was still there to take the result.
    pub completed_per_second: Option<f64>,
    /// By how many jobs a second the queue grew in the hold.
    pub queue_growth_per_second: Option<f64>,
}
