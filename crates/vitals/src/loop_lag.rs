//! How late an event loop wakes a task that is due, and whether it wakes it at all.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::task::AbortHandle;

use crate::micros;

/// How often the loop is asked to tick unless the caller says otherwise.
pub const LAG_INTERVAL: Duration = Duration::from_millis(20);

/// Ticks over which the percentile is taken.
const RECENT_TICKS: usize = 500;

/// A task that sleeps on the loop it watches and records how late it wakes.
///
/// Tokio's timer rounds up to the next millisecond, so an idle loop shows a lag of about 1 ms. On a
/// multi-thread runtime the task may wake on any worker. A lag then shows that all workers were late, or
/// that the worker that drives the timers was.
///
/// Clones share the task; it stops when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct LoopLag {
    task: Arc<LagTask>,
}

/// The loop's lateness at one instant.
///
/// Serialized as integer microseconds: `last_us`, `max_us`, `p99_us`, `overdue_us`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LoopLagSnapshot {
    /// How late the last tick was.
    #[serde(rename = "last_us", with = "micros")]
    pub last: Duration,
    /// How late the latest of all ticks was.
    #[serde(rename = "max_us", with = "micros")]
    pub max: Duration,
    /// The 99th percentile of the last 500 ticks.
    #[serde(rename = "p99_us", with = "micros")]
    pub p99: Duration,
    /// How long the next tick is overdue now. It shows a loop that is blocked right now. Read it from
    /// another thread: on the loop itself it is always about zero.
    #[serde(rename = "overdue_us", with = "micros")]
    pub overdue: Duration,
    /// Ticks so far.
    pub ticks: u64,
}

impl LoopLagSnapshot {
    /// The worst of two loops, for callers that may land on either: in each figure the later, and the
    /// fewer ticks.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        Self {
            last: self.last.max(other.last),
            max: self.max.max(other.max),
            p99: self.p99.max(other.p99),
            overdue: self.overdue.max(other.overdue),
            ticks: self.ticks.min(other.ticks),
        }
    }
}

impl LoopLag {
    /// Starts ticking every `interval` on the current runtime.
    ///
    /// # Panics
    /// If called outside a runtime, or within one that has its timer disabled.
    pub fn spawn(interval: Duration) -> Self {
        let lateness = Arc::new(Mutex::new(Lateness::new(Instant::now() + interval)));
        let ticker = tokio::spawn(tick(interval, Arc::clone(&lateness)));
        Self {
            task: Arc::new(LagTask {
                lateness,
                ticker: ticker.abort_handle(),
            }),
        }
    }

    /// The figures now; may be called from any thread.
    pub fn snapshot(&self) -> LoopLagSnapshot {
        lock(&self.task.lateness).snapshot(Instant::now())
    }
}

async fn tick(interval: Duration, lateness: Arc<Mutex<Lateness>>) {
    loop {
        let due = Instant::now() + interval;
        lock(&lateness).due = due;
        tokio::time::sleep_until(due.into()).await;
        lock(&lateness).ticked(Instant::now());
    }
}

#[derive(Debug)]
struct LagTask {
    lateness: Arc<Mutex<Lateness>>,
    ticker: AbortHandle,
}

impl Drop for LagTask {
    fn drop(&mut self) {
        self.ticker.abort();
    }
}

/// The figures, computed without a clock: the time is an argument.
#[derive(Debug)]
struct Lateness {
    due: Instant,
    last: Duration,
    max: Duration,
    recent: VecDeque<Duration>,
    ticks: u64,
}

impl Lateness {
    fn new(due: Instant) -> Self {
        let recent = VecDeque::with_capacity(RECENT_TICKS);
        Self {
            due,
            last: Duration::ZERO,
            max: Duration::ZERO,
            recent,
            ticks: 0,
        }
    }

    fn ticked(&mut self, now: Instant) {
        self.last = now.saturating_duration_since(self.due);
        self.max = self.max.max(self.last);
        if self.recent.len() == RECENT_TICKS {
            self.recent.pop_front();
        }
        self.recent.push_back(self.last);
        self.ticks += 1;
        // Nothing is overdue until the ticker says when the next tick is due.
        self.due = now;
    }

    fn snapshot(&self, now: Instant) -> LoopLagSnapshot {
        LoopLagSnapshot {
            last: self.last,
            max: self.max,
            p99: percentile_99(self.recent.iter().copied().collect()),
            overdue: now.saturating_duration_since(self.due),
            ticks: self.ticks,
        }
    }
}

/// The nearest rank, as a histogram reports it; zero if there are no samples.
fn percentile_99(mut samples: Vec<Duration>) -> Duration {
    let rank = (samples.len() * 99).div_ceil(100).max(1) - 1;
    if samples.is_empty() {
        return Duration::ZERO;
    }
    *samples.select_nth_unstable(rank).1
}

fn lock(lateness: &Mutex<Lateness>) -> MutexGuard<'_, Lateness> {
    lateness.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_tick_that_does_not_come_is_overdue_and_then_late() {
        let t0 = Instant::now();
        let mut lateness = Lateness::new(t0 + 20 * MS);
        assert_eq!(lateness.snapshot(t0 + 10 * MS).overdue, Duration::ZERO);
        assert_eq!(lateness.snapshot(t0 + 320 * MS).overdue, 300 * MS);

        lateness.ticked(t0 + 420 * MS);
        let snapshot = lateness.snapshot(t0 + 420 * MS);
        assert_eq!((snapshot.last, snapshot.max), (400 * MS, 400 * MS));
        assert_eq!(snapshot.overdue, Duration::ZERO);

        lateness.due = t0 + 440 * MS;
        lateness.ticked(t0 + 441 * MS);
        let snapshot = lateness.snapshot(t0 + 441 * MS);
        assert_eq!(
            (snapshot.last, snapshot.max, snapshot.ticks),
            (MS, 400 * MS, 2)
        );
    }

    #[test]
    fn the_percentile_is_the_nearest_rank() {
        assert_eq!(percentile_99(Vec::new()), Duration::ZERO);
        assert_eq!(percentile_99(vec![MS]), MS);
        assert_eq!(percentile_99((1..=100).map(|n| n * MS).collect()), 99 * MS);
        assert_eq!(percentile_99((1..=500).map(|n| n * MS).collect()), 495 * MS);
    }

    #[tokio::test]
    async fn dropping_the_last_handle_stops_the_task() {
        let lag = LoopLag::spawn(MS);
        let clone = lag.clone();
        let lateness = Arc::downgrade(&lag.task.lateness);
        drop(lag);
        tokio::time::sleep(20 * MS).await;
        assert!(clone.snapshot().ticks > 0, "a clone keeps it running");
        drop(clone);
        tokio::time::sleep(20 * MS).await;
        assert_eq!(lateness.strong_count(), 0);
    }
}
