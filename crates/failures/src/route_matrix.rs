//! The background tasks of `route-matrix`: their counts with a gauge, and the query and the answer of
//! the seven routes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use service::Services;

use crate::QueryTime;
use crate::micros::micros;

/// The query of the seven routes.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct MatrixQuery {
    /// Length of the work that the response waits for; 200 ms unless given.
    #[serde(default = "MatrixQuery::inner")]
    pub inner: QueryTime,
    /// Length of the task that the response does not wait for; 10 s unless given.
    #[serde(default = "MatrixQuery::background")]
    pub background: QueryTime,
}

impl MatrixQuery {
    fn inner() -> QueryTime {
        QueryTime::from_millis(200)
    }

    fn background() -> QueryTime {
        QueryTime::from_millis(10_000)
    }
}

/// The counts of all background tasks. Any thread can read them without a lock. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Background {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    pending: AtomicU64,
    running: AtomicU64,
    completed: AtomicU64,
    refused: AtomicU64,
}

/// The counts at about one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BackgroundSnapshot {
    /// Accepted tasks that have not ended, including those that run.
    pub pending: u64,
    /// Tasks that run.
    pub running: u64,
    /// Tasks that have run, including those that panicked.
    pub completed: u64,
    /// Tasks that found no room.
    pub refused: u64,
}

impl Background {
    /// Counts of zero, and their gauge.
    #[must_use]
    pub fn open(services: &mut Services) -> Self {
        let account = Self::default();
        let gauge = account.clone();
        services.gauge("background", move || gauge.snapshot());
        account
    }

    /// A new task. It is pending until it has run or is dropped.
    #[must_use]
    pub fn task(&self) -> BackgroundTask {
        self.counts.pending.fetch_add(1, Ordering::Relaxed);
        BackgroundTask(Arc::clone(&self.counts))
    }

    /// The answer to a request whose inner work took `inner`. A background task that was not `accepted`
    /// counts as refused.
    #[must_use]
    pub fn answer(&self, inner: Duration, accepted: bool) -> MatrixAnswer {
        if !accepted {
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
        }
        MatrixAnswer { inner, accepted }
    }

    /// The counts now.
    #[must_use]
    pub fn snapshot(&self) -> BackgroundSnapshot {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        BackgroundSnapshot {
            pending: read(&self.counts.pending),
            running: read(&self.counts.running),
            completed: read(&self.counts.completed),
            refused: read(&self.counts.refused),
        }
    }
}

/// A background task that has not run. A drop guard, because it may never run.
#[derive(Debug)]
pub struct BackgroundTask(Arc<Counts>);

impl BackgroundTask {
    /// Runs it here and now.
    pub fn run(self, work: impl FnOnce()) {
        let _running = Running::new(&self);
        work();
    }

    /// Runs it here and now, as a part of an async task.
    ///
    /// # Cancel safety
    /// Dropping the future ends the task; it counts as one that ran.
    pub async fn run_async(self, work: impl Future<Output = ()>) {
        let _running = Running::new(&self);
        work.await;
    }
}

impl Drop for BackgroundTask {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Running<'a>(&'a Counts);

impl<'a> Running<'a> {
    fn new(task: &'a BackgroundTask) -> Self {
        task.0.running.fetch_add(1, Ordering::Relaxed);
        Self(&task.0)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
        self.0.completed.fetch_add(1, Ordering::Relaxed);
    }
}

/// What the seven routes answer: how long the inner work took, and whether there was room for the
/// background task. The header `x-background` says the latter too.
#[derive(Clone, Copy, Debug)]
pub struct MatrixAnswer {
    /// How long the inner work took, its wait for a thread included.
    pub inner: Duration,
    /// Whether the background task was accepted.
    pub accepted: bool,
}

#[derive(Serialize)]
struct AnswerBody {
    inner_us: u64,
    background: &'static str,
}

impl IntoResponse for MatrixAnswer {
    fn into_response(self) -> Response {
        let background = if self.accepted { "accepted" } else { "refused" };
        let body = AnswerBody {
            inner_us: micros(self.inner),
            background,
        };
        ([("x-background", background)], Json(body)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(background: &Background) -> [u64; 4] {
        let counts = background.snapshot();
        [
            counts.pending,
            counts.running,
            counts.completed,
            counts.refused,
        ]
    }

    #[test]
    fn a_task_is_pending_until_it_ran_or_is_dropped() {
        let background = Background::default();
        let (ran, refused) = (background.task(), background.task());
        assert_eq!(counts(&background), [2, 0, 0, 0]);
        ran.run(|| assert_eq!(counts(&background), [2, 1, 0, 0]));
        assert_eq!(counts(&background), [1, 0, 1, 0]);
        drop(refused);
        let answer = background.answer(Duration::ZERO, false);
        assert!(!answer.accepted);
        assert_eq!(counts(&background), [0, 0, 1, 1]);
    }

    #[tokio::test]
    async fn an_async_task_counts_however_it_ends() {
        let background = Background::default();
        background.task().run_async(async {}).await;
        assert_eq!(counts(&background), [0, 0, 1, 0]);
        let task = tokio::spawn(background.task().run_async(std::future::pending()));
        tokio::task::yield_now().await;
        assert_eq!(counts(&background), [1, 1, 1, 0]);
        task.abort();
        assert!(task.await.is_err());
        assert_eq!(counts(&background), [0, 0, 2, 0]);
    }
}
