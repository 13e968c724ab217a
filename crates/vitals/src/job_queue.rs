//! Which job of a [`Bulkhead`](crate::Bulkhead) is next, and which is refused. It has no clock and no
//! threads: the time is an argument, and a job may be of any type.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::bulkhead_snapshot::BulkheadSnapshot;
use crate::ledger::{JobLedger, Ticket};

#[derive(Debug)]
pub(crate) struct JobQueue<J> {
    ledger: JobLedger,
    capacity: usize,
    limit: Option<usize>,
    /// In order of arrival, because tickets only grow. A map, so that a job whose caller left can be taken
    /// out of the middle.
    jobs: BTreeMap<Ticket, J>,
    refused: u64,
}

impl<J> JobQueue<J> {
    pub(crate) fn new(capacity: usize, limit: Option<usize>, now: Instant) -> Self {
        Self {
            ledger: JobLedger::new(capacity, now),
            capacity,
            limit,
            jobs: BTreeMap::new(),
            refused: 0,
        }
    }

    /// Takes the job in, or gives it back.
    ///
    /// The limit is on running and queued jobs together. So a job on its way to a free thread takes no
    /// place of the queue, and a queue without places still admits a job for each free thread.
    pub(crate) fn push(&mut self, job: J, now: Instant) -> Result<Ticket, J> {
        let in_flight = self.ledger.busy() + self.jobs.len();
        let places = self.limit.map(|limit| limit.saturating_add(self.capacity));
        if places.is_some_and(|places| in_flight >= places) {
            self.refused += 1;
            return Err(job);
        }
        let ticket = self.ledger.enqueue(now);
        self.jobs.insert(ticket, job);
        Ok(ticket)
    }

    /// The oldest job, which holds a thread from now on.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<J> {
        let (ticket, job) = self.jobs.pop_first()?;
        self.ledger.start(ticket, now);
        Some(job)
    }

    /// Takes a job out that has not started. Its place is free at once.
    pub(crate) fn withdraw(&mut self, ticket: Ticket, now: Instant) -> Option<J> {
        let job = self.jobs.remove(&ticket)?;
        self.ledger.abandon(ticket, now);
        Some(job)
    }

    /// A job that was popped has ended.
    pub(crate) fn finish(&mut self, now: Instant) {
        self.ledger.finish(now);
    }

    /// Takes out all that have not started.
    pub(crate) fn clear(&mut self, now: Instant) -> Vec<J> {
        let left = std::mem::take(&mut self.jobs);
        for ticket in left.keys() {
            self.ledger.abandon(*ticket, now);
        }
        left.into_values().collect()
    }

    pub(crate) fn queued(&self) -> usize {
        self.jobs.len()
    }

    pub(crate) fn snapshot(&self, now: Instant) -> BulkheadSnapshot {
        let counts = self.ledger.snapshot(now);
        BulkheadSnapshot {
            capacity: self.capacity,
            busy: counts.busy,
            queued: counts.queued,
            queue_limit: self.limit,
            oldest_wait: counts.oldest_wait,
            refused: self.refused,
            completed: counts.completed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_takes_as_many_as_threads_and_places_and_gives_the_next_one_back() {
        let now = Instant::now();
        let mut queue = JobQueue::new(2, Some(3), now);
        for job in 0..5 {
            assert!(queue.push(job, now).is_ok(), "{job}");
        }
        assert_eq!(queue.push(5, now), Err(5));
        queue.pop(now);
        queue.pop(now);
        assert_eq!(queue.push(6, now), Err(6), "a job that runs is in flight");
        queue.finish(now);
        assert!(queue.push(7, now).is_ok());
        let snapshot = queue.snapshot(now);
        assert_eq!(
            (snapshot.busy, snapshot.queued, snapshot.refused),
            (1, 4, 2)
        );
    }

    #[test]
    fn without_a_place_to_wait_it_takes_a_job_for_each_free_thread() {
        let now = Instant::now();
        let mut queue = JobQueue::new(1, Some(0), now);
        assert!(queue.push("first", now).is_ok());
        assert!(queue.push("second", now).is_err());
        queue.pop(now);
        queue.finish(now);
        assert!(queue.push("third", now).is_ok());
    }

    #[test]
    fn without_a_limit_nothing_is_refused() {
        let now = Instant::now();
        let mut queue = JobQueue::new(1, None, now);
        for job in 0..10_000 {
            assert!(queue.push(job, now).is_ok());
        }
        let snapshot = queue.snapshot(now);
        assert_eq!((snapshot.queued, snapshot.refused), (10_000, 0));
        assert_eq!(snapshot.queue_limit, None);
    }

    #[test]
    fn jobs_leave_in_the_order_in_which_they_came_whoever_was_withdrawn() {
        let t0 = Instant::now();
        let mut queue = JobQueue::new(1, Some(9), t0);
        let tickets: Vec<_> = (0..4)
            .map(|job| queue.push(job, t0 + job * SECOND).unwrap())
            .collect();
        assert_eq!(queue.withdraw(tickets[1], t0 + 4 * SECOND), Some(1));
        assert_eq!(queue.withdraw(tickets[1], t0 + 4 * SECOND), None);
        assert_eq!(queue.pop(t0 + 5 * SECOND), Some(0));
        assert_eq!(
            queue.withdraw(tickets[0], t0 + 5 * SECOND),
            None,
            "a job that runs cannot be withdrawn"
        );
        assert_eq!(queue.snapshot(t0 + 5 * SECOND).oldest_wait, 3 * SECOND);
        assert_eq!(queue.pop(t0 + 5 * SECOND), Some(2));
        assert_eq!(queue.pop(t0 + 5 * SECOND), Some(3));
        assert_eq!(queue.pop(t0 + 5 * SECOND), None);
    }
}
