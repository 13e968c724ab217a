//! A watch over Tokio's blocking pool: how many threads are busy, how much is queued, and since when.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};

use crate::canary::DEGRADED_ABOVE;
use crate::ledger::{Ledger, Ticket};
use crate::micros;
use crate::panic_message::panic_message;

/// Runs blocking jobs on the runtime's own blocking pool and counts them.
///
/// Stable Tokio tells nothing of its blocking pool, so what is not spawned through this type, or
/// through [`spawn_blocking`](crate::spawn_blocking), is not counted: `tokio::fs`, `getaddrinfo`
/// behind a name lookup, and libraries that call Tokio's own `spawn_blocking` share the same threads
/// and are noticed by the wait that they cause to jobs that are counted, the [`Canary`](crate::Canary)
/// among them. [`PoolSnapshot::uncounted`] says how many threads that must be.
///
/// Clones share one set of counters. The counters describe one runtime: the one that is current in
/// [`new`](Self::new) if there is one, otherwise the one of the first job. Every job runs there, also
/// when it is spawned from another runtime such as the [`Watchdog`](crate::Watchdog)'s.
///
/// The queue in front of the threads is Tokio's: first in, first out, and **unbounded**.
#[derive(Clone, Debug)]
pub struct BlockingPool {
    shared: Arc<Shared>,
}

/// The pool at one instant.
///
/// Serialized, durations are integer microseconds (`oldest_wait_us`, `oldest_wait_us_peak`,
/// `busy_us_total`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PoolSnapshot {
    /// Threads that the runtime may use for blocking jobs, as it was configured.
    pub capacity: usize,
    /// Jobs that hold a thread now.
    pub busy: usize,
    /// Jobs handed over that hold no thread yet. A burst counts in full until threads took it up.
    pub queued: usize,
    /// How long the oldest job in the queue has waited so far; zero if none is queued.
    #[serde(rename = "oldest_wait_us", with = "micros")]
    pub oldest_wait: Duration,
    /// Highest `busy` ever.
    pub busy_peak: usize,
    /// Highest `queued` ever.
    pub queued_peak: usize,
    /// Longest wait ever, of jobs that started and of those still queued.
    #[serde(rename = "oldest_wait_us_peak", with = "micros")]
    pub oldest_wait_peak: Duration,
    /// Jobs that ran to their end, panics included.
    pub completed: u64,
    /// Time that threads were held, summed over threads, with the part of jobs that still run.
    ///
    /// Between two snapshots, busy percent is `Δbusy_total / (capacity · Δt)`.
    #[serde(rename = "busy_us_total", with = "micros")]
    pub busy_total: Duration,
}

impl PoolSnapshot {
    /// Whether a job has waited for a thread for longer than [`DEGRADED_ABOVE`]: what
    /// [`Readiness`](crate::Readiness) is to be shown.
    ///
    /// A job that waits so long finds every thread taken, by jobs that are counted or by work that is
    /// [not](Self::uncounted). A shorter wait says nothing: a pool that is merely well used has a
    /// short queue most of the time. [`Canary`](crate::Canary) calls the same wait degraded.
    pub fn is_backed_up(&self) -> bool {
        self.queued > 0 && self.oldest_wait > DEGRADED_ABOVE
    }

    /// Threads that no counted job holds although one has waited longer than [`DEGRADED_ABOVE`];
    /// zero as long as none has.
    ///
    /// Tokio starts a job at once where a thread is free or one more may be started. So these are
    /// held by work that was spawned past the counters, or could not be started, or the capacity is
    /// not what the runtime was built with. An instant between two jobs looks the same: it counts if
    /// it lasts.
    pub fn uncounted(&self) -> usize {
        if self.queued > 0 && self.oldest_wait > DEGRADED_ABOVE {
            self.capacity.saturating_sub(self.busy)
        } else {
            0
        }
    }
}

/// Why a job gave no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The job panicked.
    #[error("a blocking job panicked: {message}")]
    #[non_exhaustive]
    Panicked {
        /// What the panic said, if it was text.
        message: String,
    },
    /// The runtime shut down before the job started.
    #[error("the runtime shut down before a blocking job could start")]
    ShuttingDown,
}

impl BlockingPool {
    /// Watches a pool of `capacity` threads.
    ///
    /// `capacity` is what the runtime was built with (`max_blocking_threads`, 512 unless set);
    /// Tokio cannot be asked for it.
    pub fn new(capacity: usize) -> Self {
        let runtime = OnceLock::new();
        if let Ok(current) = Handle::try_current() {
            let _ = runtime.set(current);
        }
        let ledger = Mutex::new(Ledger::new(capacity, Instant::now()));
        Self {
            shared: Arc::new(Shared { ledger, runtime }),
        }
    }

    /// Queues `job` and returns the handle to its result.
    ///
    /// Dropping the handle changes nothing: the job keeps its place, runs, and its result is thrown
    /// away. `JoinHandle::abort` keeps a job that has not started from running, and does not take it
    /// out of the queue either: it has its place there, is counted, and what it owns is dropped and
    /// its handle answered once a thread gets to it. A job that has started runs to its end.
    ///
    /// # Panics
    /// If called outside a runtime before the pool knows its runtime. Also if the operating system
    /// gives no thread and the pool has none, as Tokio's own does; the job then stays queued.
    pub fn spawn<F, T>(&self, job: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.spawn_timed(move |_wait| job())
    }

    /// Runs `job` on a blocking thread and waits for its result, however long the queue is.
    ///
    /// # Errors
    /// [`PoolError`] if the job panicked or the runtime shut down first.
    ///
    /// # Panics
    /// As [`spawn`](Self::spawn).
    ///
    /// # Cancel safety
    /// Dropping the future does **not** take the job out of the queue, nor its thread away: a job
    /// outlives the client that asked for it. That is what a service sees whose clients time out
    /// and come back, and it is kept here so that it can be seen.
    pub async fn run<F, T>(&self, job: F) -> Result<T, PoolError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.spawn(job).await.map_err(PoolError::from)
    }

    /// The counters now.
    pub fn snapshot(&self) -> PoolSnapshot {
        self.shared.ledger().snapshot(Instant::now())
    }

    pub(crate) fn downgrade(&self) -> WeakPool {
        WeakPool(Arc::downgrade(&self.shared))
    }

    /// As [`spawn`](Self::spawn), for a job that wants to know how long it was queued.
    pub(crate) fn spawn_timed<F, T>(&self, job: F) -> JoinHandle<T>
    where
        F: FnOnce(Duration) -> T + Send + 'static,
        T: Send + 'static,
    {
        let runtime = self.runtime();
        let queued = Queued::new(Arc::clone(&self.shared));
        runtime.spawn_blocking(move || {
            let (_running, wait) = queued.start();
            job(wait)
        })
    }

    /// The runtime whose pool it is.
    ///
    /// # Panics
    /// If called outside a runtime before the pool knows its runtime.
    pub(crate) fn runtime(&self) -> &Handle {
        self.shared.runtime.get_or_init(Handle::current)
    }
}

impl From<JoinError> for PoolError {
    fn from(error: JoinError) -> Self {
        match error.try_into_panic() {
            Ok(panic) => Self::Panicked {
                message: panic_message(panic.as_ref()),
            },
            Err(_cancelled) => Self::ShuttingDown,
        }
    }
}

/// A pool that is not kept alive.
#[derive(Debug)]
pub(crate) struct WeakPool(Weak<Shared>);

impl WeakPool {
    pub(crate) fn upgrade(&self) -> Option<BlockingPool> {
        let shared = self.0.upgrade()?;
        Some(BlockingPool { shared })
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.0.strong_count() > 0
    }
}

#[derive(Debug)]
struct Shared {
    ledger: Mutex<Ledger>,
    runtime: OnceLock<Handle>,
}

impl Shared {
    /// The clock is read under this lock, so that the ledger never sees time go backwards.
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job in the queue. Dropped unstarted it leaves the queue: when the runtime shuts down, or when a
/// thread gets to it and finds it aborted.
struct Queued {
    shared: Arc<Shared>,
    ticket: Option<Ticket>,
}

impl Queued {
    fn new(shared: Arc<Shared>) -> Self {
        let ticket = shared.ledger().enqueue(Instant::now());
        Self {
            shared,
            ticket: Some(ticket),
        }
    }

    fn start(mut self) -> (Running, Duration) {
        let wait = self.ticket.take().map_or(Duration::ZERO, |ticket| {
            self.shared.ledger().start(ticket, Instant::now())
        });
        (Running(Arc::clone(&self.shared)), wait)
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.shared.ledger().abandon(ticket, Instant::now());
        }
    }
}

/// A job on a thread. A drop guard, because a job may leave by panic.
struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.ledger().finish(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshot_has_the_published_keys_and_reads_back() {
        let snapshot = PoolSnapshot {
            capacity: 4,
            oldest_wait: Duration::from_micros(1_500_001),
            busy_total: Duration::from_secs(2),
            ..PoolSnapshot::default()
        };
        let json = serde_json::to_value(&snapshot).unwrap();
        let mut keys: Vec<_> = json
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        keys.sort_unstable();
        assert_eq!(
            keys,
            [
                "busy",
                "busy_peak",
                "busy_us_total",
                "capacity",
                "completed",
                "oldest_wait_us",
                "oldest_wait_us_peak",
                "queued",
                "queued_peak"
            ]
        );
        assert_eq!(json["oldest_wait_us"], 1_500_001);
        assert_eq!(
            serde_json::from_value::<PoolSnapshot>(json).unwrap(),
            snapshot
        );
    }

    #[test]
    fn a_long_wait_beside_idle_threads_shows_that_others_hold_them() {
        let pool = |busy, queued, millis| PoolSnapshot {
            capacity: 4,
            busy,
            queued,
            oldest_wait: Duration::from_millis(millis),
            ..PoolSnapshot::default()
        };
        assert_eq!(pool(1, 1, 100).uncounted(), 0, "it may start any moment");
        assert!(!pool(1, 1, 100).is_backed_up());
        assert_eq!(pool(1, 1, 101).uncounted(), 3);
        assert!(pool(1, 1, 101).is_backed_up());
        assert_eq!(pool(4, 9, 500).uncounted(), 0, "all of them are counted");
    }

    #[test]
    fn a_pool_is_backed_up_by_a_long_wait_and_not_by_a_queue() {
        let pool = |queued, millis| PoolSnapshot {
            capacity: 4,
            busy: 4,
            queued,
            oldest_wait: Duration::from_millis(millis),
            ..PoolSnapshot::default()
        };
        assert!(!pool(0, 0).is_backed_up());
        assert!(!pool(9, 1).is_backed_up(), "well used");
        assert!(!pool(9, 100).is_backed_up(), "not degraded either");
        assert!(pool(1, 101).is_backed_up());
    }

    #[tokio::test]
    async fn a_panicking_job_leaves_the_counters_right() {
        let pool = BlockingPool::new(4);
        let error = pool.run(|| panic!("on purpose")).await.unwrap_err();
        assert!(matches!(&error, PoolError::Panicked { message } if message == "on purpose"));
        let snapshot = pool.snapshot();
        assert_eq!(
            (snapshot.busy, snapshot.queued, snapshot.completed),
            (0, 0, 1)
        );
        assert_eq!(pool.run(|| 7).await.unwrap(), 7);
    }

    #[test]
    fn an_aborted_job_keeps_its_place_until_a_thread_gets_to_it_and_then_does_not_run() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(1)
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let pool = BlockingPool::new(1);
            let (release, held) = std::sync::mpsc::channel::<()>();
            let (started_tx, started) = tokio::sync::oneshot::channel();
            let first = pool.spawn(move || {
                let _ = started_tx.send(());
                let _ = held.recv();
            });
            started.await.unwrap();
            let has_run = Arc::new(std::sync::atomic::AtomicBool::new(false));
            let runs = Arc::clone(&has_run);
            let second = pool.spawn(move || runs.store(true, std::sync::atomic::Ordering::SeqCst));
            second.abort();
            first.abort();
            tokio::time::sleep(Duration::from_millis(100)).await;
            let snapshot = pool.snapshot();
            assert_eq!((snapshot.busy, snapshot.queued), (1, 1), "{snapshot:?}");
            assert!(snapshot.oldest_wait >= Duration::from_millis(100));
            assert!(!second.is_finished() && !first.is_finished());

            drop(release);
            assert!(second.await.unwrap_err().is_cancelled());
            assert_eq!(Arc::strong_count(&has_run), 1, "what it owned is dropped");
            assert!(!has_run.load(std::sync::atomic::Ordering::SeqCst));
            let snapshot = pool.snapshot();
            assert_eq!((snapshot.busy, snapshot.queued), (0, 0), "{snapshot:?}");
            assert_eq!(snapshot.completed, 1, "the one that had started");
        });
    }

    #[test]
    fn a_job_dropped_by_a_runtime_that_shuts_down_leaves_the_queue() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(1)
            .build()
            .unwrap();
        let pool = BlockingPool::new(1);
        let (release, held) = std::sync::mpsc::channel::<()>();
        runtime.block_on(async {
            let (started_tx, started) = tokio::sync::oneshot::channel();
            drop(pool.spawn(move || {
                let _ = started_tx.send(());
                let _ = held.recv();
            }));
            started.await.unwrap();
            drop(pool.spawn(|| ()));
        });
        assert_eq!(pool.snapshot().queued, 1);
        runtime.shutdown_background();
        drop(release);
        let deadline = Instant::now() + Duration::from_secs(5);
        while pool.snapshot().busy + pool.snapshot().queued > 0 {
            assert!(Instant::now() < deadline, "{:?}", pool.snapshot());
            std::thread::yield_now();
        }
    }
}
