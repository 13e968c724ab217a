//! What the processes of a run tell of themselves, as far as the lab reads it. Unknown keys are ignored:
//! a service may publish more, and a foreign one publishes something else.

use serde::Deserialize;

use super::resources::tenths;
use crate::summary::Pool;

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

/// What was seen of a server's gauges over a cell.
#[derive(Clone, Debug, Default)]
pub struct GaugeUsage {
    last: Option<ServerGauges>,
    loop_lag_us_peak: Option<u64>,
    hold: Option<((u64, u64), (u64, u64))>,
}

impl GaugeUsage {
    /// Adds a look at `at_us`; `under_load` from the ramp to the tail.
    pub fn add(&mut self, at_us: u64, gauges: ServerGauges, in_hold: bool, under_load: bool) {
        if let (Some(pool), true) = (&gauges.pool, in_hold) {
            let now = (at_us, pool.busy_us_total);
            self.hold = Some((self.hold.map_or(now, |(start, _)| start), now));
        }
        if let (Some(event_loop), true) = (&gauges.event_loop, under_load) {
            let lag = event_loop.last_us.max(event_loop.overdue_us);
            self.loop_lag_us_peak = Some(self.loop_lag_us_peak.unwrap_or(0).max(lag));
        }
        self.last = Some(gauges);
    }

    /// The last look.
    #[must_use]
    pub fn last(&self) -> Option<&ServerGauges> {
        self.last.as_ref()
    }

    /// Longest lag of the event loop under load.
    #[must_use]
    pub fn loop_lag_us_peak(&self) -> Option<u64> {
        self.loop_lag_us_peak
    }

    /// The figures of the pool.
    #[must_use]
    pub fn pool(&self) -> Option<Pool> {
        let pool = self.last.as_ref()?.pool?;
        let busy_percent = self
            .hold
            .and_then(|((start, busy_start), (end, busy_end))| {
                let possible = (end - start) as f64 * pool.capacity as f64;
                (possible > 0.0)
                    .then(|| tenths(100.0 * busy_end.saturating_sub(busy_start) as f64 / possible))
            });
        Some(Pool {
            capacity: pool.capacity,
            busy_peak: pool.busy_peak,
            queued_peak: pool.queued_peak,
            oldest_wait_us_peak: pool.oldest_wait_us_peak,
            busy_percent,
        })
    }
}
