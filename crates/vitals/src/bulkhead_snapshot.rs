//! The figures of a bulkhead at one instant.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::micros;

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
    /// Jobs that hold no thread yet. A burst counts in full until threads take its jobs, so this can
    /// exceed `queue_limit` for a moment.
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
    /// Whether every thread is busy and a job waits for one. Feed it to
    /// [`Readiness`](crate::Readiness).
    pub fn is_backed_up(&self) -> bool {
        self.busy >= self.capacity && self.queued > 0
    }
}
