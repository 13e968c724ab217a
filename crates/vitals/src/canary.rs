//! A canary: a trivial job that goes through the same queue as all work, and tells how long it waited.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::micros;
use crate::panic_message::panic_message;
use crate::pool::BlockingPool;
use crate::pool_snapshot::DEGRADED_ABOVE;

/// How often a [`Watchdog`](crate::Watchdog) that [`Vitals::watchdog`](crate::Vitals::watchdog) made
/// sends a canary.
pub const CANARY_EVERY: Duration = Duration::from_secs(1);

/// How long a canary may take unless the caller says otherwise.
pub const CANARY_TIMEOUT: Duration = Duration::from_secs(1);

/// The state of the pool, by the canary's wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Health {
    /// The canary came back within [`DEGRADED_ABOVE`].
    Healthy,
    /// The canary came back in time, but waited longer than [`DEGRADED_ABOVE`].
    Degraded,
    /// The canary has not come back in time.
    Unhealthy,
}

/// The result of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CanaryReport {
    /// The verdict.
    pub status: Health,
    /// How long the canary was queued; if it is still queued, how long so far.
    #[serde(rename = "wait_us", with = "micros")]
    pub wait: Duration,
}

/// Sends one trivial job at a time through a [`BlockingPool`] and reports its wait.
///
/// Only one canary is ever in the pool. Callers that come while it waits share its result, because a job
/// for each probe would fill the queue that they measure. A canary that timed out stays the one canary
/// until the pool runs it.
///
/// Clones share the canary.
#[derive(Clone, Debug)]
pub struct Canary {
    pool: BlockingPool,
    timeout: Duration,
    state: Arc<Mutex<CanaryState>>,
}

impl Health {
    /// The state of a pool whose canary waited `wait`, and came back in time or not.
    pub fn classify(wait: Duration, returned_in_time: bool) -> Self {
        if !returned_in_time {
            Self::Unhealthy
        } else if wait > DEGRADED_ABOVE {
            Self::Degraded
        } else {
            Self::Healthy
        }
    }
}

impl Canary {
    /// A canary for `pool` that is given up on after `timeout` ([`CANARY_TIMEOUT`] is the default
    /// elsewhere in this crate).
    pub fn new(pool: BlockingPool, timeout: Duration) -> Self {
        Self {
            pool,
            timeout,
            state: Arc::default(),
        }
    }

    /// Sends a canary, or joins the one that waits, and reports within the timeout.
    ///
    /// The timeout counts from when the canary was queued. A caller who joins a canary that is older than
    /// that is answered at once. If the operating system gives no thread, the canary waits like any other
    /// job, and the report is unhealthy when the time is over.
    ///
    /// # Panics
    /// If called outside a runtime before the pool knows its runtime.
    ///
    /// # Cancel safety
    /// Safe: the canary stays in the queue and the next caller joins it.
    pub async fn check(&self) -> CanaryReport {
        let WaitingCanary {
            queued,
            mut returned,
        } = self.join_or_send();
        let left = self.timeout.saturating_sub(queued.elapsed());
        let outcome = tokio::time::timeout(left, returned.wait_for(Option::is_some)).await;
        let wait = match outcome {
            Ok(Ok(wait)) => *wait,
            // It did not come back in time, or the runtime dropped it.
            Ok(Err(_)) | Err(_) => None,
        };
        match wait {
            Some(wait) => self.report(wait),
            None => {
                let wait = queued.elapsed();
                CanaryReport {
                    status: Health::classify(wait, false),
                    wait,
                }
            }
        }
    }

    /// The report of the canary that waits now, if it is late, otherwise of the last one; `None` before
    /// the first. Sends no canary, and may be called from any thread.
    pub fn last(&self) -> Option<CanaryReport> {
        let state = lock(&self.state);
        let (wait, is_back) = match &state.waiting {
            Some(waiting) => (waiting.queued.elapsed(), false),
            None => (state.last?, true),
        };
        // A canary that still waits may come back in time.
        let in_time = wait <= self.timeout;
        let status = match Health::classify(wait, in_time) {
            // A canary on its way tells nothing before it is late. The one before counts.
            Health::Healthy if !is_back => match state.last {
                Some(last) => return Some(self.report(last)),
                None => Health::Healthy,
            },
            status => status,
        };
        Some(CanaryReport { status, wait })
    }

    fn report(&self, wait: Duration) -> CanaryReport {
        CanaryReport {
            status: Health::classify(wait, wait <= self.timeout),
            wait,
        }
    }

    fn join_or_send(&self) -> WaitingCanary {
        let mut state = lock(&self.state);
        if let Some(waiting) = &state.waiting {
            return waiting.clone();
        }
        // The one panic for the caller to see: there is no runtime.
        self.pool.runtime();
        let (report, returned) = watch::channel(None);
        let waiting = WaitingCanary {
            queued: Instant::now(),
            returned,
        };
        state.waiting = Some(waiting.clone());
        // A runtime that shuts down drops the job inside `spawn_timed`, and with it the leave guard,
        // which takes this lock.
        drop(state);
        let leave = LeaveOnDrop(Arc::clone(&self.state));
        let job = move |wait| {
            lock(&leave.0).last = Some(wait);
            drop(leave);
            report.send_replace(Some(wait));
        };
        // Tokio panics if it has no thread and the operating system gives none. The job stays queued, so
        // the canary waits and reports an unhealthy pool.
        let sent = catch_unwind(AssertUnwindSafe(|| drop(self.pool.spawn_timed(job))));
        if let Err(panic) = sent {
            let error = panic_message(panic.as_ref());
            tracing::error!(error, "no thread for a canary");
        }
        waiting
    }
}

#[derive(Debug, Default)]
struct CanaryState {
    waiting: Option<WaitingCanary>,
    /// How long the last canary waited that came back.
    last: Option<Duration>,
}

#[derive(Clone, Debug)]
struct WaitingCanary {
    queued: Instant,
    returned: watch::Receiver<Option<Duration>>,
}

/// Makes room for the next canary when this one ran or was dropped.
struct LeaveOnDrop(Arc<Mutex<CanaryState>>);

impl Drop for LeaveOnDrop {
    fn drop(&mut self) {
        lock(&self.0).waiting = None;
    }
}

fn lock(state: &Mutex<CanaryState>) -> MutexGuard<'_, CanaryState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_follows_the_wait() {
        let ms = Duration::from_millis;
        assert_eq!(Health::classify(ms(100), true), Health::Healthy);
        assert_eq!(Health::classify(ms(101), true), Health::Degraded);
        assert_eq!(Health::classify(ms(900), true), Health::Degraded);
        assert_eq!(Health::classify(ms(1), false), Health::Unhealthy);
    }

    #[tokio::test]
    async fn an_idle_pool_is_healthy() {
        let report = Canary::new(BlockingPool::new(512), CANARY_TIMEOUT)
            .check()
            .await;
        assert_eq!(report.status, Health::Healthy, "{report:?}");
    }

    #[test]
    fn the_last_report_is_that_of_the_canary_that_waits_once_it_is_late() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(1)
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let pool = BlockingPool::new(1);
            let canary = Canary::new(pool.clone(), Duration::from_millis(300));
            assert_eq!(canary.last(), None);
            let first = canary.check().await;
            assert_eq!(canary.last(), Some(first));

            let (release, held) = std::sync::mpsc::channel::<()>();
            drop(pool.spawn(move || held.recv()));
            let pause = tokio::time::sleep(Duration::from_millis(20));
            tokio::select! {
                report = canary.check() => panic!("{report:?}"),
                () = pause => assert_eq!(canary.last(), Some(first), "not late yet"),
            }
            assert_eq!(canary.check().await.status, Health::Unhealthy);
            let late = canary.last().unwrap();
            assert_eq!(late.status, Health::Unhealthy);
            assert!(late.wait >= Duration::from_millis(300), "{late:?}");
            drop(release);
        });
    }

    #[test]
    fn a_canary_that_gets_no_thread_is_unhealthy_and_no_panic() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            // A stack of more than the address space: no thread can be had.
            .thread_stack_size(1 << 47)
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let pool = BlockingPool::new(4);
            let canary = Canary::new(pool.clone(), Duration::from_millis(150));
            for _ in 0..2 {
                let report = canary.check().await;
                assert_eq!(report.status, Health::Unhealthy, "{report:?}");
                assert!(report.wait >= Duration::from_millis(150), "{report:?}");
            }
            assert_eq!(canary.last().unwrap().status, Health::Unhealthy);
            assert_eq!(
                (pool.snapshot().queued, pool.snapshot().uncounted()),
                (1, 4)
            );
        });
        runtime.shutdown_background();
    }

    #[test]
    fn the_verdict_is_written_in_lower_case() {
        let report = CanaryReport {
            status: Health::Degraded,
            wait: Duration::from_millis(250),
        };
        let json = serde_json::to_value(report).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"status": "degraded", "wait_us": 250_000})
        );
    }
}
