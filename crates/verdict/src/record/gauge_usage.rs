use super::Segment;
use super::backlog::Backlog;
use super::bulkhead::BulkheadUsage;
use super::counter::{Counter, Growth};
use super::gauges::{PoolGauges, ServerGauges};
use super::usage::share_percent;
use crate::summary::{Background, Bulkhead, Pool};

/// What was seen of a server's gauges over a cell.
#[derive(Clone, Debug, Default)]
pub struct GaugeUsage {
    last: Option<ServerGauges>,
    loop_lag_us_peak: Option<u64>,
    busy_us: Counter,
    /// Length of the hold, and thread time used in it.
    hold_us: Growth,
    hold_busy_us: Growth,
    /// The highest of each peak: those of a restarted server begin anew.
    pool_peak: PoolGauges,
    bulkhead: BulkheadUsage,
    backlog: Backlog,
}

impl GaugeUsage {
    /// Adds a look at `at_us`, in `segment`, at process `pid`.
    pub fn add(&mut self, at_us: u64, pid: u32, gauges: ServerGauges, segment: Segment) {
        let in_hold = segment == Segment::Hold;
        if let Some(pool) = &gauges.pool {
            let busy_us = self.busy_us.add(pid, pool.busy_us_total);
            if in_hold {
                self.hold_us.add(at_us);
                self.hold_busy_us.add(busy_us);
            }
            let peak = &mut self.pool_peak;
            peak.busy_peak = peak.busy_peak.max(pool.busy_peak);
            peak.queued_peak = peak.queued_peak.max(pool.queued_peak);
            peak.oldest_wait_us_peak = peak.oldest_wait_us_peak.max(pool.oldest_wait_us_peak);
        }
        if let Some(bulkhead) = gauges.bulkhead {
            self.bulkhead.add(at_us, pid, bulkhead, in_hold);
        }
        if let (Some(event_loop), true) = (&gauges.event_loop, segment.is_under_load()) {
            let lag = event_loop.last_us.max(event_loop.overdue_us);
            self.loop_lag_us_peak = Some(self.loop_lag_us_peak.unwrap_or(0).max(lag));
        }
        if let Some(background) = gauges.background {
            self.backlog.add(at_us, background, segment);
        }
        self.last = Some(gauges);
    }

    /// The figures of the background tasks; the load ended at `load_end_us`, if it has.
    #[must_use]
    pub fn background(&self, load_end_us: Option<u64>) -> Option<Background> {
        self.backlog.figures(load_end_us)
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
        let possible_us = self.hold_us.get().map(|us| us * pool.capacity);
        let busy_percent = share_percent(self.hold_busy_us.get(), possible_us);
        Some(Pool {
            capacity: pool.capacity,
            busy_peak: self.pool_peak.busy_peak,
            queued_peak: self.pool_peak.queued_peak,
            oldest_wait_us_peak: self.pool_peak.oldest_wait_us_peak,
            busy_percent,
        })
    }

    /// The figures of the bulkhead.
    #[must_use]
    pub fn bulkhead(&self) -> Option<Bulkhead> {
        self.bulkhead.figures()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_of_a_server_that_was_restarted_is_that_of_all_its_processes() {
        let mut usage = GaugeUsage::default();
        for (at_us, pid, busy_peak, busy_us_total) in [
            (0, 7, 0, 0),
            (1_000_000, 7, 4, 4_000_000),
            (2_000_000, 8, 1, 100_000),
        ] {
            let pool = PoolGauges {
                capacity: 4,
                busy_peak,
                queued_peak: 10 * busy_peak,
                busy_us_total,
                ..PoolGauges::default()
            };
            let gauges = ServerGauges {
                pool: Some(pool),
                ..ServerGauges::default()
            };
            usage.add(at_us, pid, gauges, Segment::Hold);
        }
        let pool = usage.pool().expect("seen");
        assert_eq!((pool.busy_peak, pool.queued_peak), (4, 40));
        // 4.1 s of thread time in 2 s on 4 threads.
        assert_eq!(pool.busy_percent, Some(51.3));
    }
}
