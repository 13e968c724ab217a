//! Whether a server should be given work. It changes slowly, so that one burst decides nothing.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};
use tokio::task::AbortHandle;

use crate::metrics_page::{MetricsPage, single};

/// How long a server is backed up before it is not ready, unless the caller says otherwise.
pub const READINESS_HOLD: Duration = Duration::from_secs(1);

/// How often a [`ReadinessWatch`] looks in a hold time.
const LOOKS: u32 = 20;

/// Decides when a server is not ready and when it is ready again. It has no clock: it is fed with looks.
///
/// A saturated server is not ready (send the next request elsewhere), but it is alive (do not kill it
/// with all its work). Each look says whether work is *backed up*. On the shared pool, whose queue has no
/// bound, it is backed up if a job has waited longer than [`DEGRADED_ABOVE`](crate::DEGRADED_ABOVE)
/// ([`PoolSnapshot::is_backed_up`](crate::PoolSnapshot::is_backed_up)). A bulkhead, whose queue is short,
/// is backed up if every thread is busy **and** a job waits
/// ([`BulkheadSnapshot::is_backed_up`](crate::BulkheadSnapshot::is_backed_up)). All threads busy and no
/// queue is good use.
///
/// A count goes up while work is backed up and down while it is not, between zero and the hold time. The
/// server is not ready from when the count is full until it is zero. So a change takes one hold time at
/// least, in both directions. Neither a thread that is free for an instant nor a short burst makes it
/// flicker. If work is backed up about half of the time, nothing changes.
///
/// ```
/// use std::time::{Duration, Instant};
/// use vitals::Readiness;
///
/// let (start, second) = (Instant::now(), Duration::from_secs(1));
/// let mut readiness = Readiness::new(second);
/// for look in 0..=20 {
///     readiness.observe(true, start + look * second / 20);
/// }
/// assert!(!readiness.is_ready());
/// ```
#[derive(Clone, Debug)]
pub struct Readiness {
    hold: Duration,
    count: Duration,
    last: Option<Look>,
    state: ReadinessSnapshot,
}

#[derive(Clone, Copy, Debug)]
struct Look {
    is_backed_up: bool,
    when: Instant,
}

/// A server's readiness at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReadinessSnapshot {
    /// Whether it should be given work.
    pub ready: bool,
    /// How often that changed.
    pub transitions: u64,
}

impl Readiness {
    /// Ready at first, and not ready after work was backed up for `hold`.
    pub fn new(hold: Duration) -> Self {
        Self {
            hold,
            count: Duration::ZERO,
            last: None,
            state: ReadinessSnapshot {
                ready: true,
                transitions: 0,
            },
        }
    }

    /// Takes one look at `now` and says whether it is ready.
    ///
    /// The time since the last look counts as what that look saw, but as a tenth of the hold time at
    /// most. So one look after a long pause decides nothing. Look at least ten times in a hold time.
    pub fn observe(&mut self, is_backed_up: bool, now: Instant) -> bool {
        let last = self.last.replace(Look {
            is_backed_up,
            when: now,
        });
        if let Some(last) = last {
            let since = now.saturating_duration_since(last.when).min(self.hold / 10);
            self.count = if last.is_backed_up {
                (self.count + since).min(self.hold)
            } else {
                self.count.saturating_sub(since)
            };
            // Ready => (Ready | NotReady), NotReady => (NotReady | Ready)
            let turns = match self.state.ready {
                true => last.is_backed_up && self.count == self.hold,
                false => !last.is_backed_up && self.count.is_zero(),
            };
            if turns {
                self.state.ready = !self.state.ready;
                self.state.transitions += 1;
            }
        }
        self.state.ready
    }

    /// Whether the server is ready, as of the last look.
    pub fn is_ready(&self) -> bool {
        self.state.ready
    }

    /// The same, with the number of changes, for a gauge.
    pub fn snapshot(&self) -> ReadinessSnapshot {
        self.state
    }
}

/// A task that feeds a [`Readiness`], twenty looks in a hold time.
///
/// ```
/// use vitals::{Bulkhead, READINESS_HOLD, ReadinessWatch};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let reports = Bulkhead::new("reports", 4, Some(8));
/// let readiness = ReadinessWatch::spawn(READINESS_HOLD, move || reports.snapshot().is_backed_up());
/// assert!(readiness.is_ready());
/// let app: axum::Router = readiness.routes(); // GET /readyz
/// # let _ = app;
/// # }
/// ```
///
/// Clones share the task; it stops when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct ReadinessWatch {
    task: Arc<ReadinessTask>,
}

#[derive(Debug)]
struct ReadinessTask {
    readiness: Arc<Mutex<Readiness>>,
    ticker: AbortHandle,
}

impl ReadinessWatch {
    /// Starts looking on the current runtime.
    ///
    /// # Panics
    /// If called outside a runtime, or within one that has its timer disabled.
    pub fn spawn(hold: Duration, is_backed_up: impl Fn() -> bool + Send + 'static) -> Self {
        let readiness = Arc::new(Mutex::new(Readiness::new(hold)));
        let shared = Arc::clone(&readiness);
        let pause = (hold / LOOKS).max(Duration::from_millis(1));
        let ticker = tokio::spawn(async move {
            loop {
                lock(&shared).observe(is_backed_up(), Instant::now());
                tokio::time::sleep(pause).await;
            }
        });
        let ticker = ticker.abort_handle();
        Self {
            task: Arc::new(ReadinessTask { readiness, ticker }),
        }
    }

    /// Whether the server is ready, as of the last look. May be called from any thread.
    pub fn is_ready(&self) -> bool {
        self.snapshot().ready
    }

    /// `GET /readyz`: 200 if the server is ready, else 503 with `Retry-After: 1`. The body is the
    /// [`ReadinessSnapshot`]. The route itself sends no job.
    pub fn routes<S>(&self) -> Router<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        let watch = self.clone();
        Router::new().route(
            "/readyz",
            get(move || async move { answer(watch.snapshot()) }),
        )
    }

    /// Adds these metrics to `registry`, read at each scrape: the gauge `readiness_ready` (1 or 0) and
    /// the counter `readiness_transitions_total`. The registry keeps the task running.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(ReadinessCollector(self.clone())));
    }

    /// The same, with the number of changes, for a gauge.
    pub fn snapshot(&self) -> ReadinessSnapshot {
        lock(&self.task.readiness).snapshot()
    }
}

fn answer(state: ReadinessSnapshot) -> Response {
    if state.ready {
        return Json(state).into_response();
    }
    let retry_after = [(header::RETRY_AFTER, "1")];
    (StatusCode::SERVICE_UNAVAILABLE, retry_after, Json(state)).into_response()
}

#[derive(Debug)]
struct ReadinessCollector(ReadinessWatch);

impl Collector for ReadinessCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let state = self.0.snapshot();
        let mut page = MetricsPage(encoder);
        page.gauge(
            "readiness_ready",
            "Whether this server should be given work",
            single(usize::from(state.ready)),
        )?;
        page.counter(
            "readiness_transitions",
            "How often readiness changed",
            single(state.transitions),
        )
    }
}

impl Drop for ReadinessTask {
    fn drop(&mut self) {
        self.ticker.abort();
    }
}

fn lock(readiness: &Mutex<Readiness>) -> MutexGuard<'_, Readiness> {
    readiness.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool_snapshot::PoolSnapshot;

    const MS: Duration = Duration::from_millis(1);
    const HOLD: Duration = Duration::from_secs(1);

    /// Looks every 50 ms, and the time until it turned.
    struct Bench {
        readiness: Readiness,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            Self {
                readiness: Readiness::new(HOLD),
                now: Instant::now(),
            }
        }

        fn look(&mut self, is_backed_up: bool) -> bool {
            self.now += 50 * MS;
            self.readiness.observe(is_backed_up, self.now)
        }

        fn look_for(&mut self, time: Duration, is_backed_up: impl Fn(u32) -> bool) -> bool {
            let looks = u32::try_from(time.as_millis() / 50).unwrap();
            (0..looks).fold(true, |_, look| self.look(is_backed_up(look)))
        }
    }

    #[test]
    fn it_turns_after_the_hold_time_and_not_before_and_back_likewise() {
        let mut bench = Bench::new();
        assert!(bench.look_for(HOLD, |_| true), "a look is missing yet");
        assert!(!bench.look(true));
        // The look before was still one of being backed up.
        assert!(!bench.look_for(HOLD, |_| false));
        assert!(bench.look(false));
        assert_eq!(bench.readiness.snapshot().transitions, 2);
    }

    /// Jobs of 1 ms on four threads, first in, first out, that come at random `a_second`: the pool as it
    /// is at looks every 50 ms, for a minute.
    fn looks_at(a_second: f64) -> impl Iterator<Item = PoolSnapshot> {
        const THREADS: usize = 4;
        let (mut jobs, mut free_from, mut now) = (Vec::new(), [0.0_f64; THREADS], 0.0);
        let mut dice = 1_u64;
        while now < 60.0 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let drawn = ((dice >> 33) as f64 + 1.0) / 2.0_f64.powi(31);
            now -= drawn.ln() / a_second;
            let thread = (0..THREADS).min_by(|a, b| free_from[*a].total_cmp(&free_from[*b]));
            let thread = &mut free_from[thread.unwrap()];
            let starts = now.max(*thread);
            *thread = starts + 0.001;
            jobs.push((now, starts));
        }
        (1..1200).map(move |look| {
            let look = f64::from(look) * 0.05;
            let came = jobs.partition_point(|(came, _)| *came <= look);
            let started = jobs.partition_point(|(_, starts)| *starts <= look);
            let ended = jobs.partition_point(|(_, starts)| starts + 0.001 <= look);
            let oldest = jobs[..came]
                .get(started)
                .map_or(0.0, |(came, _)| look - came);
            PoolSnapshot {
                capacity: THREADS,
                busy: started - ended,
                queued: came - started,
                oldest_wait: Duration::from_secs_f64(oldest),
                ..PoolSnapshot::default()
            }
        })
    }

    #[test]
    fn a_pool_that_is_used_to_nine_tenths_is_ready_and_one_that_is_overloaded_is_not() {
        let mut used = Bench::new();
        let mut with_a_queue = 0;
        for pool in looks_at(3600.0) {
            with_a_queue += usize::from(pool.queued > 0 && pool.busy == pool.capacity);
            assert!(used.look(pool.is_backed_up()), "{pool:?}");
        }
        assert!(
            with_a_queue > 600,
            "{with_a_queue} of 1199 looks: most of the time some job waits, or this shows nothing"
        );
        assert_eq!(used.readiness.snapshot().transitions, 0);

        let mut overloaded = Bench::new();
        for pool in looks_at(4800.0) {
            overloaded.look(pool.is_backed_up());
        }
        let expected = ReadinessSnapshot {
            ready: false,
            transitions: 1,
        };
        assert_eq!(overloaded.readiness.snapshot(), expected);
    }

    #[test]
    fn a_burst_shorter_than_the_hold_time_changes_nothing() {
        let mut bench = Bench::new();
        for _ in 0..10 {
            assert!(bench.look_for(800 * MS, |_| true));
            assert!(bench.look_for(900 * MS, |_| false));
        }
        assert_eq!(bench.readiness.snapshot().transitions, 0);
    }

    #[test]
    fn a_thread_that_is_free_for_an_instant_does_not_start_the_count_anew() {
        let mut bench = Bench::new();
        assert!(!bench.look_for(2 * HOLD, |look| look % 5 != 0));
        assert!(
            !bench.look_for(10 * HOLD, |look| look % 2 == 0),
            "it stays as it is at half of the time"
        );
        assert_eq!(bench.readiness.snapshot().transitions, 1);
    }

    #[test]
    fn one_look_after_a_long_pause_decides_nothing() {
        let mut readiness = Readiness::new(HOLD);
        let t0 = Instant::now();
        readiness.observe(true, t0);
        assert!(readiness.observe(true, t0 + 60 * HOLD));
    }

    #[tokio::test]
    async fn dropping_the_last_watch_stops_the_task() {
        let watched = Arc::new(());
        let held = Arc::clone(&watched);
        let watch = ReadinessWatch::spawn(20 * MS, move || Arc::strong_count(&held) > 0);
        let clone = watch.clone();
        drop(watch);
        tokio::time::sleep(300 * MS).await;
        assert!(!clone.is_ready(), "a clone keeps it running");
        drop(clone);
        tokio::time::sleep(50 * MS).await;
        assert_eq!(Arc::strong_count(&watched), 1);
    }
}
