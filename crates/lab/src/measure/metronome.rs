use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::priority::prefer_this_thread;

/// The plan of an open-loop probe: check *n* is due at `n / (rate × endpoints)` and asks endpoint
/// `n mod endpoints`, so that each endpoint is asked `rate` times a second and none in step with another.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    rate: f64,
    endpoints: usize,
}

impl Plan {
    /// A plan of `rate` checks a second for each of `endpoints`.
    #[must_use]
    pub fn new(rate: f64, endpoints: usize) -> Self {
        Self { rate, endpoints }
    }

    /// When check `n` is due, on the cell's clock. Never re-anchored: it depends on `n` alone.
    #[must_use]
    pub fn due_us(&self, n: u64) -> u64 {
        (n as f64 * 1e6 / (self.rate * self.endpoints as f64)).round() as u64
    }

    /// The endpoint of check `n`, by position.
    #[must_use]
    pub fn endpoint(&self, n: u64) -> usize {
        (n % self.endpoints as u64) as usize
    }

    /// How many checks of `endpoint` are due in `[start_us, end_us)`.
    #[must_use]
    pub fn due_between(&self, endpoint: usize, start_us: u64, end_us: u64) -> u64 {
        let before = |us: u64| {
            let mut n = (us as f64 * self.rate * self.endpoints as f64 / 1e6).floor() as u64;
            n = n.saturating_sub(2);
            while self.due_us(n) < us {
                n += 1;
            }
            // Of the checks 0..n, those whose position is this endpoint's.
            let endpoints = self.endpoints as u64;
            (n + endpoints - 1 - endpoint as u64) / endpoints
        };
        before(end_us).saturating_sub(before(start_us))
    }
}

/// Tells when checks are due, from an OS thread of its own: an async timer rounds to milliseconds,
/// and a busy runtime would be late for its own plan.
#[derive(Debug)]
pub struct Metronome {
    plan: Plan,
    stop_us: Arc<AtomicU64>,
    thread: Option<JoinHandle<u64>>,
}

impl Metronome {
    /// Starts it; `beat(n, due_us)` is called for each check, in order, not before it is due.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(
        plan: Plan,
        origin: Instant,
        mut beat: impl FnMut(u64, u64) + Send + 'static,
    ) -> std::io::Result<Self> {
        let stop_us = Arc::new(AtomicU64::new(u64::MAX));
        let stop = Arc::clone(&stop_us);
        let thread = std::thread::Builder::new()
            .name("metronome".into())
            .spawn(move || {
                prefer_this_thread();
                let mut n = 0;
                loop {
                    let due_us = plan.due_us(n);
                    wait_until(origin + Duration::from_micros(due_us), due_us, &stop);
                    // What was due before the stop is still sent, late or not: the plan had it.
                    if due_us >= stop.load(Ordering::Acquire) {
                        return n;
                    }
                    beat(n, due_us);
                    n += 1;
                }
            })?;
        Ok(Self {
            plan,
            stop_us,
            thread: Some(thread),
        })
    }

    /// Lets no check be sent that is due at `at_us` or later, unless it was sent already, and waits
    /// for the thread to end. Returns the instant before which every check was sent and from which
    /// on none was: `at_us`, or just after the last one.
    pub fn stop(mut self, at_us: u64) -> u64 {
        self.stop_us.store(at_us, Ordering::Release);
        let sent = self.thread.take().and_then(|thread| thread.join().ok());
        let last = sent
            .and_then(|sent| sent.checked_sub(1))
            .map_or(0, |last| self.plan.due_us(last) + 1);
        at_us.max(last)
    }
}

impl Drop for Metronome {
    fn drop(&mut self) {
        self.stop_us.fetch_min(0, Ordering::Release);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the metronome's own OS thread: the kernel's timer is what keeps it exact"
)]
fn wait_until(instant: Instant, due_us: u64, stop_us: &AtomicU64) {
    // In slices, so that a stop is noticed before a far-away check.
    const SLICE: Duration = Duration::from_millis(20);
    loop {
        let left = instant.saturating_duration_since(Instant::now());
        if left.is_zero() || due_us >= stop_us.load(Ordering::Acquire) {
            return;
        }
        std::thread::sleep(left.min(SLICE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_counts_what_it_has() {
        let plan = Plan::new(50.0, 3);
        for endpoint in 0..3 {
            for (start, end) in [
                (0, 0),
                (0, 1),
                (0, 1_000_000),
                (123_456, 7_654_321),
                (20_000, 40_000),
            ] {
                let counted = (0..2_000)
                    .filter(|&n| {
                        plan.endpoint(n) == endpoint && (start..end).contains(&plan.due_us(n))
                    })
                    .count() as u64;
                assert_eq!(
                    plan.due_between(endpoint, start, end),
                    counted,
                    "{endpoint} {start} {end}"
                );
            }
        }
    }

    #[test]
    fn consecutive_spans_leave_out_no_check() {
        let plan = Plan::new(37.3, 2);
        let whole = plan.due_between(1, 0, 10_000_000);
        let parts = (0..10)
            .map(|n| plan.due_between(1, n * 1_000_000, (n + 1) * 1_000_000))
            .sum::<u64>();
        assert_eq!(whole, parts);
    }
}
