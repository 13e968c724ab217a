//! The bounds of `route-matrix`. Inner work has a pool, and background tasks that block have another.
//! Background tasks that only await have a limit on their number.

use std::sync::Arc;

use service::{BulkheadArgs, ServerArgs};
use tokio::sync::Semaphore;
use vitals::Bulkhead;

/// Threads for the work that responses wait for.
pub(crate) fn inner_pool(args: &ServerArgs) -> Bulkhead {
    Bulkhead::new("inner", args.pool_threads as usize, Some(args.queue()))
}

/// Room for background tasks. A task that finds no room is dropped.
#[derive(Clone)]
pub(crate) struct BoundedBackground {
    threads: Bulkhead,
    tasks: Arc<Semaphore>,
}

impl BoundedBackground {
    pub(crate) fn new(args: &BulkheadArgs) -> Self {
        let (threads, queue) = (args.background_threads, args.background_queue);
        Self {
            threads: Bulkhead::new("background", threads as usize, Some(queue as usize)),
            tasks: Arc::new(Semaphore::new(args.background_tasks as usize)),
        }
    }

    /// Runs a blocking task on the pool for such tasks. Returns whether there was room.
    pub(crate) fn block(&self, task: impl FnOnce() + Send + 'static) -> bool {
        self.threads.spawn(task).is_ok()
    }

    /// Runs a task that only awaits. Returns whether there was room.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> bool {
        let Ok(permit) = Arc::clone(&self.tasks).try_acquire_owned() else {
            return false;
        };
        tokio::spawn(async move {
            task.await;
            drop(permit);
        });
        true
    }
}
