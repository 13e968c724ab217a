//! `tokio::task::spawn_blocking` with counters, for code that has no pool at hand.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::runtime::{Handle, Id};
use tokio::task::JoinHandle;

use crate::pool::{BlockingPool, WeakPool};

/// The pool of each runtime that has one. A list, because there are few.
static POOLS: Mutex<Vec<(Id, WeakPool)>> = Mutex::new(Vec::new());

impl BlockingPool {
    /// The pool of the current runtime, in which [`spawn_blocking`] counts its jobs. The first call makes
    /// it. Further calls return the same one and ignore `capacity`, as long as a handle to it is left.
    ///
    /// # Panics
    /// If called outside a runtime.
    #[track_caller]
    pub fn of_this_runtime(capacity: usize) -> Self {
        let runtime = Handle::current().id();
        let mut pools = pools();
        pools.retain(|(_, pool)| pool.is_alive());
        let found = pools.iter().find(|(id, _)| *id == runtime);
        if let Some(pool) = found.and_then(|(_, pool)| pool.upgrade()) {
            return pool;
        }
        let pool = Self::new(capacity);
        pools.push((runtime, pool.downgrade()));
        pool
    }
}

/// Runs `job` on the current runtime's blocking pool, as [`tokio::task::spawn_blocking`] does. The job is
/// counted if the runtime is watched, by [`Vitals::watch`](crate::Vitals::watch) or
/// [`BlockingPool::of_this_runtime`].
///
/// It returns what Tokio's function returns, so only the path of a call changes. Neither dropping the
/// handle nor `JoinHandle::abort` takes the job out of the queue; see [`BlockingPool::spawn`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let vitals = vitals::Vitals::watch(512);
/// let sum = vitals::spawn_blocking(|| 1 + 1).await;
/// assert_eq!(sum.ok(), Some(2));
/// assert_eq!(vitals.snapshot().pool.completed, 1);
/// # }
/// ```
///
/// # Panics
/// If called outside a runtime.
#[track_caller]
pub fn spawn_blocking<F, T>(job: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let runtime = Handle::current().id();
    let pool = pools()
        .iter()
        .find(|(id, _)| *id == runtime)
        .and_then(|(_, pool)| pool.upgrade());
    // The list is not locked here: a runtime that shuts down drops the job, and all it owns, in this call.
    match pool {
        Some(pool) => pool.spawn(job),
        None => tokio::task::spawn_blocking(job),
    }
}

fn pools() -> MutexGuard<'static, Vec<(Id, WeakPool)>> {
    POOLS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_is_counted_from_when_its_runtime_is_watched_and_as_long_as_it_is() {
        assert_eq!(spawn_blocking(|| 1).await.ok(), Some(1), "unwatched");
        let pool = BlockingPool::of_this_runtime(4);
        let same = BlockingPool::of_this_runtime(9);
        assert_eq!(spawn_blocking(|| 2).await.ok(), Some(2));
        assert_eq!(
            (same.snapshot().capacity, same.snapshot().completed),
            (4, 1)
        );
        drop((pool, same));
        assert_eq!(spawn_blocking(|| 3).await.ok(), Some(3), "unwatched again");
        assert_eq!(BlockingPool::of_this_runtime(9).snapshot().completed, 0);
    }

    #[tokio::test]
    async fn each_runtime_has_a_pool_of_its_own() {
        let pool = BlockingPool::of_this_runtime(4);
        let other = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            runtime.block_on(async {
                let pool = BlockingPool::of_this_runtime(2);
                spawn_blocking(|| ()).await.unwrap();
                pool.snapshot()
            })
        });
        let other = other.join().unwrap();
        assert_eq!((other.capacity, other.completed), (2, 1));
        assert_eq!(pool.snapshot().completed, 0);
    }
}
