//! Watches Tokio's blocking pool: how many threads are busy, how much is queued, and since when.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};

use crate::ledger::{JobLedger, Ticket};
use crate::panic_message::panic_message;
use crate::pool_snapshot::PoolSnapshot;

/// Runs blocking jobs on the runtime's own blocking pool and counts them.
///
/// Only jobs that are spawned through this type or [`spawn_blocking`](crate::spawn_blocking) are counted,
/// because stable Tokio tells nothing of its blocking pool. `tokio::fs`, name lookups (`getaddrinfo`) and
/// libraries that call Tokio's own `spawn_blocking` share the same threads and are not counted. They show
/// by the wait of counted jobs, such as the [`Canary`](crate::Canary);
/// [`PoolSnapshot::uncounted`] says how many threads they must hold.
///
/// Clones share one set of counters. The counters describe one runtime: the one that is current in
/// [`new`](Self::new) if there is one, otherwise the one of the first job. Every job runs there, also
/// when it is spawned from another runtime such as the [`Watchdog`](crate::Watchdog)'s.
///
/// The queue in front of the threads is Tokio's: first in, first out, and **unbounded**.
#[derive(Clone, Debug)]
pub struct BlockingPool {
    shared: Arc<PoolState>,
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
        let ledger = Mutex::new(JobLedger::new(capacity, Instant::now()));
        Self {
            shared: Arc::new(PoolState { ledger, runtime }),
        }
    }

    /// Queues `job` and returns the handle to its result.
    ///
    /// Dropping the handle changes nothing: the job keeps its place, runs, and its result is thrown
    /// away. A job that is aborted (`JoinHandle::abort`) before it starts does not run, but it stays in
    /// the queue and is counted. What it owns is dropped, and its handle answered, when a thread gets to
    /// it. A job that has started runs to its end.
    ///
    /// # Panics
    /// If called outside a runtime before the pool knows its runtime. Also, as Tokio's own function, if
    /// the operating system gives no thread and the pool has none; the job then stays queued.
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
    /// Dropping the future takes **neither** the job out of the queue nor its thread away: a job outlives
    /// the client that asked for it. Tokio's own function does the same, and this type shows what it
    /// does. [`Bulkhead::run`](crate::Bulkhead::run) gives the place up.
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
        let queued = QueuedJob::new(Arc::clone(&self.shared));
        runtime.spawn_blocking(move || {
            let (_running, wait) = queued.start();
            job(wait)
        })
    }

    /// The runtime that the pool belongs to.
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

/// A handle that does not keep the pool alive.
#[derive(Debug)]
pub(crate) struct WeakPool(Weak<PoolState>);

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
struct PoolState {
    ledger: Mutex<JobLedger>,
    runtime: OnceLock<Handle>,
}

impl PoolState {
    /// Read the clock under this lock, so that the ledger never sees time go backwards.
    fn ledger(&self) -> MutexGuard<'_, JobLedger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job in the queue. It leaves the queue when it starts, or when it is dropped before: because the
/// runtime shuts down, or because a thread finds it aborted.
struct QueuedJob {
    shared: Arc<PoolState>,
    ticket: Option<Ticket>,
}

impl QueuedJob {
    fn new(shared: Arc<PoolState>) -> Self {
        let ticket = shared.ledger().enqueue(Instant::now());
        Self {
            shared,
            ticket: Some(ticket),
        }
    }

    fn start(mut self) -> (RunningJob, Duration) {
        let wait = self.ticket.take().map_or(Duration::ZERO, |ticket| {
            self.shared.ledger().start(ticket, Instant::now())
        });
        (RunningJob(Arc::clone(&self.shared)), wait)
    }
}

impl Drop for QueuedJob {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.shared.ledger().abandon(ticket, Instant::now());
        }
    }
}

/// A job on a thread. It is counted as ended when this is dropped, because a job may panic.
struct RunningJob(Arc<PoolState>);

impl Drop for RunningJob {
    fn drop(&mut self) {
        self.0.ledger().finish(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
