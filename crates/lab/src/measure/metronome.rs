use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use verdict::record::Plan;

use super::priority::prefer_this_thread;

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
