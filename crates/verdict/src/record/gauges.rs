//! What the processes of a run tell of themselves, as far as the lab reads it. Unknown keys are ignored:
//! a service may publish more, and a foreign one publishes something else.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::summary::Timing;

/// The watchdog's `/gauges` of a server under test.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ServerGauges {
    /// The blocking pool.
    pub pool: Option<PoolGauges>,
    /// The event loop.
    pub event_loop: Option<LoopGauges>,
    /// Connections open.
    pub connections: Option<u64>,
    /// Tasks alive on the runtime.
    pub tasks_alive: Option<u64>,
    /// The relay's permits.
    pub relay: Option<RelayGauges>,
    /// Those of the relay that has hang-ups to deal with.
    pub disconnect: Option<RelayGauges>,
    /// Work that goes on after its response.
    pub background: Option<BackgroundGauges>,
    /// A bounded pool of its own for one class of work.
    pub bulkhead: Option<BulkheadGauges>,
    /// How long the parts of a request took, by name.
    #[serde(default)]
    pub timings: BTreeMap<String, Timing>,
    /// How large the bodies of each client were: upper bound of a bucket to count.
    #[serde(default)]
    pub sizes: BTreeMap<String, BTreeMap<String, u64>>,
}

/// Work that goes on after its response.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct BackgroundGauges {
    /// Accepted and not finished.
    pub pending: u64,
    pub running: u64,
    pub completed: u64,
    pub refused: u64,
}

/// A bounded pool of its own for one class of work.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[expect(missing_docs, reason = "as in vitals::BulkheadSnapshot")]
pub struct BulkheadGauges {
    pub capacity: u64,
    pub busy: u64,
    pub queued: u64,
    /// Absent if nothing bounds the queue.
    pub queue_limit: Option<u64>,
    pub oldest_wait_us: u64,
    pub refused: u64,
    pub completed: u64,
}

/// A watched blocking pool.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[expect(missing_docs, reason = "as in vitals::PoolSnapshot")]
pub struct PoolGauges {
    pub capacity: u64,
    pub busy: u64,
    pub queued: u64,
    pub oldest_wait_us: u64,
    pub busy_peak: u64,
    pub queued_peak: u64,
    pub oldest_wait_us_peak: u64,
    pub busy_us_total: u64,
}

/// A watched event loop.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[expect(missing_docs, reason = "as in vitals::LoopLagSnapshot")]
pub struct LoopGauges {
    pub last_us: u64,
    pub overdue_us: u64,
}

/// The permits of a relay.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[expect(missing_docs, reason = "as in relay::RelaySnapshot")]
pub struct RelayGauges {
    pub permits_in_use: u64,
    pub permits_limit: u64,
}

/// The upstream's `/stats`.
#[derive(Clone, Debug, Default, Deserialize)]
#[expect(missing_docs, reason = "as in mock_llm::Stats")]
pub struct UpstreamStats {
    pub open: u64,
    pub open_peak: u64,
    pub started: u64,
    pub completed: u64,
    pub errored: u64,
    pub aborted: u64,
    pub lateness_us: UpstreamLateness,
    /// Connections open, this one included; absent if it does not count them.
    pub connections: Option<u64>,
}

/// How late the upstream was against its own schedule.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct UpstreamLateness {
    pub count: u64,
    pub p50: u64,
    pub p99: u64,
    pub max: u64,
}
