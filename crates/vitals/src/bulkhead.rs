//! Threads and a bounded queue for one kind of blocking work, so that it can exhaust nothing but itself.

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::crew::{Crew, Running};
use crate::ledger::Ticket;
use crate::micros;
use crate::panic_message::panic_message;

/// Runs blocking jobs of one kind on threads of their own, first in, first out, and refuses what its
/// bounded queue cannot take.
///
/// The runtime's blocking pool is shared by all who block, health checks included, and its queue has
/// no bound: one slow kind of work starves the others, and every caller waits for all that came
/// before. A bulkhead keeps the rest afloat. With `c` threads, a queue of `Q` and jobs of length `S`
/// nobody waits longer than `⌈Q/c⌉·S` (jobs that began together end together, so that with four
/// threads the first in the queue may wait a whole `S`); whoever comes on top of that is told so at
/// once and can go elsewhere.
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
/// In an axum handler `bulkhead.run(job).await?` does: [`BulkheadError`] is a response.
///
/// A thread is started when a job comes and none is free, so that a bulkhead costs nothing until it
/// is used; it then stays. Clones share everything. When the last clone is dropped, jobs that have not
/// started are dropped with it, and each thread ends after the job it is in.
#[derive(Clone)]
pub struct Bulkhead {
    crew: Arc<LastHandle>,
}

/// A bulkhead at one instant.
///
/// Serialized, the wait is in integer microseconds (`oldest_wait_us`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BulkheadSnapshot {
    /// Threads that it may use.
    pub capacity: usize,
    /// Jobs that hold a thread now.
    pub busy: usize,
    /// Jobs that hold no thread yet. A burst counts in full until threads took it up, so that this
    /// can exceed `queue_limit` for a moment.
    pub queued: usize,
    /// Jobs that may wait while all threads are busy; `None` if there is no bound.
    pub queue_limit: Option<usize>,
    /// How long the oldest job in the queue has waited so far; zero if none is queued.
    #[serde(rename = "oldest_wait_us", with = "micros")]
    pub oldest_wait: Duration,
    /// Jobs that were refused because it was full.
    pub refused: u64,
    /// Jobs that ran to their end, panics included.
    pub completed: u64,
}

impl BulkheadSnapshot {
    /// Whether every thread is busy and a job waits for one: what [`Readiness`](crate::Readiness) is
    /// to be shown.
    pub fn is_backed_up(&self) -> bool {
        self.busy >= self.capacity && self.queued > 0
    }
}

/// All threads are busy and the queue is full: refused at once rather than made to wait.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name} has no room: {busy} of {capacity} threads busy, {queued} queued, the oldest for {oldest_wait:.1?}"
)]
#[non_exhaustive]
pub struct BulkheadFull {
    /// The bulkhead's name.
    pub name: String,
    /// Its threads.
    pub capacity: usize,
    /// Jobs that hold one.
    pub busy: usize,
    /// Jobs that wait.
    pub queued: usize,
    /// Jobs that may wait.
    pub queue_limit: usize,
    /// How long the oldest of them has waited.
    pub oldest_wait: Duration,
}

/// Why a job gave no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BulkheadError {
    /// There was no room; the job was not taken.
    #[error(transparent)]
    Full(#[from] BulkheadFull),
    /// The operating system gave no thread, and there is none yet; the job was not taken.
    #[error("no thread for {name}")]
    #[non_exhaustive]
    NoThread {
        /// The bulkhead's name.
        name: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The job panicked. Its thread goes on.
    #[error("a job of {name} panicked: {message}")]
    #[non_exhaustive]
    Panicked {
        /// The bulkhead's name.
        name: String,
        /// What the panic said, if it was text.
        message: String,
    },
}

impl Bulkhead {
    /// A bulkhead of `threads` threads (at least 1), which also bear its name, and of `queue` places
    /// for jobs that wait while all threads are busy.
    ///
    /// `None` is a queue without a bound: it refuses nothing, and in overload the wait grows without
    /// end. It is there because many executors are like that.
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
    /// place is free at once, so that clients who gave up make nobody wait. A job that runs cannot be
    /// stopped; it keeps its thread to its end and its result is thrown away.
    pub async fn run<F, T>(&self, job: F) -> Result<T, BulkheadError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (sender, result) = oneshot::channel();
        let ticket = self.crew.0.submit(Box::new(move |running: Running| {
            let result = catch_unwind(AssertUnwindSafe(job));
            // First free, then answered: whoever has an answer finds the thread free.
            drop(running);
            let _ = sender.send(result);
        }))?;
        let place = Place(&self.crew.0, ticket);
        let result = result.await;
        std::mem::forget(place);
        match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(panic)) => Err(self.panicked(panic.as_ref())),
            // Only the last handle drops jobs unrun, and `self` is one.
            Err(gone) => Err(self.panicked(&gone.to_string())),
        }
    }

    /// Hands `job` over and does not wait for it: it runs when its turn comes, whoever is gone by then.
    ///
    /// # Errors
    /// [`BulkheadError`] if there was no room, or no thread could be had; the job is dropped.
    pub fn spawn<F>(&self, job: F) -> Result<(), BulkheadError>
    where
        F: FnOnce() + Send + 'static,
    {
        let job = Box::new(move |_running: Running| job());
        self.crew.0.submit(job).map(drop)
    }

    /// The counters now; may be called from any thread, on or off a runtime.
    pub fn snapshot(&self) -> BulkheadSnapshot {
        self.crew.0.snapshot()
    }

    pub(crate) fn downgrade(&self) -> WeakBulkhead {
        WeakBulkhead(Arc::downgrade(&self.crew))
    }

    /// What it was called.
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

/// A bulkhead that is not kept alive.
#[derive(Debug)]
pub(crate) struct WeakBulkhead(Weak<LastHandle>);

impl WeakBulkhead {
    pub(crate) fn upgrade(&self) -> Option<Bulkhead> {
        let crew = self.0.upgrade()?;
        Some(Bulkhead { crew })
    }
}

/// The crew's threads hold the crew as well, so its end cannot be told from its own count.
pub(crate) struct LastHandle(Arc<Crew>);

impl Drop for LastHandle {
    fn drop(&mut self) {
        self.0.dismiss();
    }
}

/// A place in the queue, given up when its caller goes away.
struct Place<'a>(&'a Crew, Ticket);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.withdraw(self.1);
    }
}
