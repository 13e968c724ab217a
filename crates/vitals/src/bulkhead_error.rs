//! Why a bulkhead gave no result.

use std::io;
use std::time::Duration;

/// Refused at once, because all threads are busy and the queue is full.
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
    /// There was no room. The job was not taken.
    #[error(transparent)]
    Full(#[from] BulkheadFull),
    /// The bulkhead has no thread, and the operating system gave none. The job was not taken.
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
