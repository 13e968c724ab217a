use super::counter::Counter;
use super::gauges::BulkheadGauges;
use super::usage::tenths;
use crate::summary::Bulkhead;

/// What was seen of a server's bulkhead over a cell.
#[derive(Clone, Debug, Default)]
pub(crate) struct BulkheadUsage {
    last: Option<BulkheadGauges>,
    busy_peak: u64,
    queued_peak: u64,
    oldest_wait_us_peak: u64,
    refused: Counter,
    refused_total: u64,
    completed: Counter,
    /// The first look in the hold and the last one.
    hold: Option<(Look, Look)>,
}

#[derive(Clone, Copy, Debug)]
struct Look {
    at_us: u64,
    completed: u64,
    queued: u64,
}

impl BulkheadUsage {
    /// Adds a look at `at_us` at the gauges of process `pid`.
    pub(crate) fn add(&mut self, at_us: u64, pid: u32, gauges: BulkheadGauges, in_hold: bool) {
        self.refused_total = self.refused.add(pid, gauges.refused);
        let now = Look {
            at_us,
            completed: self.completed.add(pid, gauges.completed),
            queued: gauges.queued,
        };
        if in_hold {
            self.busy_peak = self.busy_peak.max(gauges.busy);
            self.queued_peak = self.queued_peak.max(gauges.queued);
            self.oldest_wait_us_peak = self.oldest_wait_us_peak.max(gauges.oldest_wait_us);
            self.hold = Some((self.hold.map_or(now, |(first, _)| first), now));
        }
        self.last = Some(gauges);
    }

    /// The figures; `None` if the server has no such gauges.
    pub(crate) fn figures(&self) -> Option<Bulkhead> {
        let last = self.last?;
        let per_second = |read: fn(Look) -> u64| {
            let (first, last) = self.hold.filter(|(first, last)| last.at_us > first.at_us)?;
            let seconds = (last.at_us - first.at_us) as f64 / 1e6;
            Some(tenths((read(last) as f64 - read(first) as f64) / seconds))
        };
        Some(Bulkhead {
            capacity: last.capacity,
            queue_limit: last.queue_limit,
            busy_peak: self.busy_peak,
            queued_peak: self.queued_peak,
            oldest_wait_us_peak: self.oldest_wait_us_peak,
            refused: self.refused_total,
            completed_per_second: per_second(|look| look.completed),
            queue_growth_per_second: per_second(|look| look.queued),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_hold() {
        let mut usage = BulkheadUsage::default();
        assert_eq!(usage.figures(), None);
        for second in 0..=10_u64 {
            let gauges = BulkheadGauges {
                capacity: 1,
                busy: 1,
                queued: 49 * second,
                oldest_wait_us: 900_000 * second,
                completed: second,
                ..BulkheadGauges::default()
            };
            usage.add(second * 1_000_000, 7, gauges, second >= 2);
        }
        let figures = usage.figures().expect("seen");
        assert_eq!(figures.completed_per_second, Some(1.0));
        assert_eq!(figures.queue_growth_per_second, Some(49.0));
        assert_eq!((figures.queued_peak, figures.queue_limit), (490, None));
        assert_eq!(figures.oldest_wait_us_peak, 9_000_000);
    }
}
