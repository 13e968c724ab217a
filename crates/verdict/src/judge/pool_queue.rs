use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A first-in-first-out pool of threads, simulated: jobs in order of arrival, each taking the thread
/// that is free first. Times are seconds.
#[derive(Debug)]
pub(crate) struct PoolQueue {
    // Microseconds, because floats have no total order.
    free_at_us: BinaryHeap<Reverse<u64>>,
}

impl PoolQueue {
    pub(crate) fn new(threads: u32) -> Self {
        Self {
            free_at_us: (0..threads).map(|_| Reverse(0)).collect(),
        }
    }

    /// A job arrives at `at`; `end` tells when it ends from when it starts. Returns its start.
    pub(crate) fn add(&mut self, at: f64, end: impl FnOnce(f64) -> f64) -> f64 {
        let Reverse(free) = self.free_at_us.pop().unwrap_or(Reverse(0));
        let start = at.max(free as f64 / 1e6);
        self.free_at_us.push(Reverse((end(start) * 1e6) as u64));
        start
    }

    /// When a job that arrives after all others would start, at the earliest.
    pub(crate) fn next_start(&self) -> f64 {
        self.free_at_us
            .peek()
            .map_or(0.0, |Reverse(free)| *free as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_the_closed_formula() {
        // N simultaneous jobs of S on c threads: a job that comes after them starts at floor(N/c)·S.
        for (n, c, s, expected) in [
            (8, 4, 1.0, 2.0),
            (12, 4, 1.0, 3.0),
            (9, 4, 2.0, 4.0),
            (3, 4, 1.0, 0.0),
        ] {
            let mut pool = PoolQueue::new(c);
            for _ in 0..n {
                pool.add(0.0, |start| start + s);
            }
            assert!((pool.next_start() - expected).abs() < 1e-6, "{n} on {c}");
        }
    }
}
