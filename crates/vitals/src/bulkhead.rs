//! Threads and a bounded queue for one kind of blocking work, which then can exhaust only itself.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use tokio::sync::oneshot;

use crate::bulkhead_error::BulkheadError;
use crate::bulkhead_snapshot::BulkheadSnapshot;
use crate::crew::{BusyThread, Crew};
use crate::ledger::Ticket;
use crate::panic_message::panic_message;

/// Runs blocking jobs of one kind on threads of their own, first in, first out, and refuses what its
/// bounded queue cannot take.
///
/// All blocking work of an app shares the runtime's blocking pool, health checks included, and the queue
/// of that pool has no bound. So one slow kind of work starves the others, and every caller waits for all
/// that came before. A bulkhead keeps the rest afloat. With `c` threads, a queue of `Q` and jobs of length
/// `S` nobody waits longer than `⌈Q/c⌉·S`. (The first in the queue may wait a whole `S`, also with four
/// threads, because jobs that began together end together.) Callers beyond that are refused at once and
/// can go elsewhere.
///
/// ```
/// use vitals::{Bulkhead, BulkheadError};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BulkheadError> {
/// let reports = Bulkhead::new("reports", 4, Some(8)); // 4 threads, 8 may wait for them
///
/// match reports.run(|| "a slow, blocking query").await {
///     Ok(rows) => println!("{rows}"),
///     Err(BulkheadError::Full(full)) => println!("503, {} waiting", full.queued),
///     Err(error) => return Err(error),
/// }
/// # Ok(())
/// # }
/// ```
///
/// In an axum handler write `bulkhead.run(job).await?`: [`BulkheadError`] is a response.
///
/// A thread is started when a job comes and none is free, and then stays. A bulkhead that is not used
/// costs nothing. Clones share everything. When the last clone is dropped, jobs that have not started are
/// dropped with it, and each thread ends after its job.
#[derive(Clone)]
pub struct Bulkhead {
    crew: Arc<LastHandle>,
}

impl Bulkhead {
    /// A bulkhead of `threads` threads (at least 1), which get its name, and of `queue` places for jobs
    /// that wait while all threads are busy.
    ///
    /// `None` is a queue without a bound: it refuses nothing, and in overload the wait grows without end.
    /// Many executors have such a queue; this is for comparison with them.
    ///
    /// # Panics
    /// If the name contains a NUL, which no thread can be called.
    pub fn new(name: &str, threads: usize, queue: Option<usize>) -> Self {
        assert!(!name.contains('\0'), "a thread cannot be called {name:?}");
        let crew = Crew::new(name, threads.max(1), queue);
        Self {
            crew: Arc::new(LastHandle(crew)),
        }
    }

    /// Runs `job` on a thread of the bulkhead and waits for its result.
    ///
    /// # Errors
    /// [`BulkheadError`] if there was no room, no thread could be had, or the job panicked.
    ///
    /// # Cancel safety
    /// Dropping the future while the job is queued takes it out of the queue: it never runs, and its
    /// place is free at once, so clients that gave up make nobody wait. A job that runs cannot be
    /// stopped. It keeps its thread to its end, and its result is thrown away.
    pub async fn run<F, T>(&self, job: F) -> Result<T, BulkheadError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (sender, result) = oneshot::channel();
        let ticket = self.crew.0.submit(Box::new(move |running: BusyThread| {
            let result = catch_unwind(AssertUnwindSafe(job));
            // The thread is free before the caller has the answer.
            drop(running);
            let _ = sender.send(result);
        }))?;
        let place = QueuedCaller(&self.crew.0, ticket);
        let result = result.await;
        std::mem::forget(place);
        match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(panic)) => Err(self.panicked(panic.as_ref())),
            // Not reached: only the last handle drops jobs that have not run, and `self` is a handle.
            Err(gone) => Err(self.panicked(&gone.to_string())),
        }
    }

    /// Hands `job` over and does not wait for it. It runs when its turn comes, also if its caller is gone.
    ///
    /// # Errors
    /// [`BulkheadError`] if there was no room, or no thread could be had; the job is dropped.
    pub fn spawn<F>(&self, job: F) -> Result<(), BulkheadError>
    where
        F: FnOnce() + Send + 'static,
    {
        let job = Box::new(move |_running: BusyThread| job());
        self.crew.0.submit(job).map(drop)
    }

    /// The counters now; may be called from any thread, on or off a runtime.
    pub fn snapshot(&self) -> BulkheadSnapshot {
        self.crew.0.snapshot()
    }

    pub(crate) fn downgrade(&self) -> WeakBulkhead {
        WeakBulkhead(Arc::downgrade(&self.crew))
    }

    /// The name that it was given.
    pub fn name(&self) -> &str {
        self.crew.0.name()
    }

    fn panicked(&self, panic: &(dyn Any + Send)) -> BulkheadError {
        BulkheadError::Panicked {
            name: self.name().to_owned(),
            message: panic_message(panic),
        }
    }
}

impl fmt::Debug for Bulkhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bulkhead")
            .field(&self.crew.0.name())
            .field(&self.snapshot())
            .finish()
    }
}

/// A handle that does not keep the bulkhead alive.
#[derive(Debug)]
pub(crate) struct WeakBulkhead(Weak<LastHandle>);

impl WeakBulkhead {
    pub(crate) fn upgrade(&self) -> Option<Bulkhead> {
        let crew = self.0.upgrade()?;
        Some(Bulkhead { crew })
    }
}

/// Dismisses the crew when the last handle is dropped. The crew's threads hold the crew as well, so its
/// own reference count does not show that.
pub(crate) struct LastHandle(Arc<Crew>);

impl Drop for LastHandle {
    fn drop(&mut self) {
        self.0.dismiss();
    }
}

/// A caller whose job is queued. Dropping it gives the job's place up.
struct QueuedCaller<'a>(&'a Crew, Ticket);

impl Drop for QueuedCaller<'_> {
    fn drop(&mut self) {
        self.0.withdraw(self.1);
    }
}
