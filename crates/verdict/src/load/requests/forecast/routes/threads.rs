use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Threads and the first-in-first-out queue in front of them, simulated. Times are microseconds.
#[derive(Debug)]
pub(crate) struct Threads {
    free_at: BinaryHeap<Reverse<u64>>,
    /// Ends of the jobs that were taken, for a queue with a bound.
    ends: BinaryHeap<Reverse<u64>>,
    places: Option<usize>,
}

impl Threads {
    /// `count` threads, and places in the queue; `None` if it has no bound.
    pub(crate) fn new(count: u32, queue: Option<u32>) -> Self {
        Self {
            free_at: (0..count.max(1)).map(|_| Reverse(0)).collect(),
            ends: BinaryHeap::new(),
            places: queue.map(|queue| count as usize + queue as usize),
        }
    }

    /// A job of length `work` comes at `at`, not before those that came already. Returns when it ends;
    /// `None` if there is no room.
    pub(crate) fn add(&mut self, at: u64, work: u64) -> Option<u64> {
        if let Some(places) = self.places {
            while self.ends.peek().is_some_and(|&Reverse(end)| end <= at) {
                self.ends.pop();
            }
            if self.ends.len() >= places {
                return None;
            }
        }
        let Reverse(free) = self.free_at.pop()?;
        let end = at.max(free) + work;
        self.free_at.push(Reverse(end));
        if self.places.is_some() {
            self.ends.push(Reverse(end));
        }
        Some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_wait_in_order_for_the_thread_that_is_free_first() {
        let mut threads = Threads::new(2, None);
        let ends: Vec<_> = [(0, 10), (0, 4), (1, 4), (2, 0), (20, 1)]
            .into_iter()
            .map(|(at, work)| threads.add(at, work))
            .collect();
        assert_eq!(ends, [10, 4, 8, 8, 21].map(Some));
    }

    #[test]
    fn what_a_bounded_queue_cannot_take_is_refused_until_a_job_ends() {
        let mut threads = Threads::new(1, Some(1));
        assert_eq!(threads.add(0, 10), Some(10));
        assert_eq!(threads.add(0, 10), Some(20));
        assert_eq!(threads.add(9, 10), None);
        assert_eq!(threads.add(10, 10), Some(30));
    }
}
