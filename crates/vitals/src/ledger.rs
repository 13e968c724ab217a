//! Which jobs are queued and how many run, for [`BlockingPool`](crate::BlockingPool) and
//! [`Bulkhead`](crate::Bulkhead). It has no clock: the time is an argument.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::pool_snapshot::PoolSnapshot;

/// The number of a job, from the moment it is queued until it starts.
pub(crate) type Ticket = u64;

#[derive(Debug)]
pub(crate) struct JobLedger {
    capacity: usize,
    next_ticket: Ticket,
    /// In order of arrival, because tickets only grow: the first entry is the oldest wait. A map and not
    /// a queue, because threads may start neighbouring jobs in any order.
    waiting: BTreeMap<Ticket, Instant>,
    busy: usize,
    completed: u64,
    busy_peak: usize,
    queued_peak: usize,
    oldest_wait_peak: Duration,
    busy_total: Duration,
    /// Up to when `busy_total` has been summed.
    summed_until: Instant,
}

impl JobLedger {
    pub(crate) fn new(capacity: usize, now: Instant) -> Self {
        Self {
            capacity,
            next_ticket: 0,
            waiting: BTreeMap::new(),
            busy: 0,
            completed: 0,
            busy_peak: 0,
            queued_peak: 0,
            oldest_wait_peak: Duration::ZERO,
            busy_total: Duration::ZERO,
            summed_until: now,
        }
    }

    /// Jobs that hold a thread.
    pub(crate) fn busy(&self) -> usize {
        self.busy
    }

    pub(crate) fn enqueue(&mut self, now: Instant) -> Ticket {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiting.insert(ticket, now);
        self.queued_peak = self.queued_peak.max(self.waiting.len());
        ticket
    }

    /// The job leaves the queue and takes a thread. Returns how long it waited.
    pub(crate) fn start(&mut self, ticket: Ticket, now: Instant) -> Duration {
        let wait = self
            .waiting
            .remove(&ticket)
            .map_or(Duration::ZERO, |queued| {
                now.saturating_duration_since(queued)
            });
        self.oldest_wait_peak = self.oldest_wait_peak.max(wait);
        self.sum_busy_time(now);
        self.busy += 1;
        self.busy_peak = self.busy_peak.max(self.busy);
        wait
    }

    pub(crate) fn finish(&mut self, now: Instant) {
        self.sum_busy_time(now);
        self.busy = self.busy.saturating_sub(1);
        self.completed += 1;
    }

    /// The job left the queue without ever running.
    pub(crate) fn abandon(&mut self, ticket: Ticket, now: Instant) {
        if let Some(queued) = self.waiting.remove(&ticket) {
            self.oldest_wait_peak = self
                .oldest_wait_peak
                .max(now.saturating_duration_since(queued));
        }
    }

    pub(crate) fn snapshot(&self, now: Instant) -> PoolSnapshot {
        let oldest_wait = self
            .waiting
            .first_key_value()
            .map_or(Duration::ZERO, |(_, queued)| {
                now.saturating_duration_since(*queued)
            });
        PoolSnapshot {
            capacity: self.capacity,
            busy: self.busy,
            queued: self.waiting.len(),
            oldest_wait,
            busy_peak: self.busy_peak,
            queued_peak: self.queued_peak,
            oldest_wait_peak: self.oldest_wait_peak.max(oldest_wait),
            completed: self.completed,
            busy_total: self.busy_total + self.unsummed_busy_time(now),
        }
    }

    fn sum_busy_time(&mut self, now: Instant) {
        self.busy_total += self.unsummed_busy_time(now);
        self.summed_until = self.summed_until.max(now);
    }

    fn unsummed_busy_time(&self, now: Instant) -> Duration {
        let threads = u32::try_from(self.busy).unwrap_or(u32::MAX);
        now.saturating_duration_since(self.summed_until) * threads
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn oldest_wait_is_that_of_the_oldest_job_still_queued() {
        let t0 = Instant::now();
        let mut ledger = JobLedger::new(1, t0);
        let first = ledger.enqueue(t0);
        let second = ledger.enqueue(t0 + SECOND);
        assert_eq!(ledger.snapshot(t0 + 3 * SECOND).oldest_wait, 3 * SECOND);

        assert_eq!(ledger.start(first, t0 + 3 * SECOND), 3 * SECOND);
        let snapshot = ledger.snapshot(t0 + 3 * SECOND);
        assert_eq!((snapshot.busy, snapshot.queued), (1, 1));
        assert_eq!(snapshot.oldest_wait, 2 * SECOND);
        assert_eq!(
            snapshot.oldest_wait_peak,
            3 * SECOND,
            "the wait of a started job counts"
        );

        ledger.abandon(second, t0 + 9 * SECOND);
        let snapshot = ledger.snapshot(t0 + 9 * SECOND);
        assert_eq!((snapshot.queued, snapshot.oldest_wait), (0, Duration::ZERO));
        assert_eq!(snapshot.oldest_wait_peak, 8 * SECOND);
    }

    #[test]
    fn jobs_started_out_of_order_leave_the_oldest_in_place() {
        let t0 = Instant::now();
        let mut ledger = JobLedger::new(2, t0);
        let first = ledger.enqueue(t0);
        let second = ledger.enqueue(t0 + SECOND);
        ledger.start(second, t0 + 2 * SECOND);
        assert_eq!(ledger.snapshot(t0 + 2 * SECOND).oldest_wait, 2 * SECOND);
        ledger.start(first, t0 + 2 * SECOND);
        assert_eq!(ledger.snapshot(t0 + 2 * SECOND).oldest_wait, Duration::ZERO);
    }

    #[test]
    fn busy_time_sums_over_threads_and_includes_jobs_that_still_run() {
        let t0 = Instant::now();
        let mut ledger = JobLedger::new(2, t0);
        let (a, b) = (ledger.enqueue(t0), ledger.enqueue(t0));
        ledger.start(a, t0 + SECOND);
        ledger.start(b, t0 + 2 * SECOND);
        assert_eq!(ledger.snapshot(t0 + 4 * SECOND).busy_total, 5 * SECOND);
        ledger.finish(t0 + 4 * SECOND);
        assert_eq!(ledger.snapshot(t0 + 10 * SECOND).busy_total, 11 * SECOND);
        ledger.finish(t0 + 10 * SECOND);
        let snapshot = ledger.snapshot(t0 + 60 * SECOND);
        assert_eq!(snapshot.busy_total, 11 * SECOND);
        assert_eq!(
            (snapshot.busy, snapshot.busy_peak, snapshot.completed),
            (0, 2, 2)
        );
    }
}
