//! Threads for work that computes, apart from the event loop and from threads that wait.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use failures::large_body::BodyError;
use service::{EnvironmentError, Services};
use tokio::sync::oneshot;

use crate::admission::{Admission, Seat};

/// A rayon pool. By default it has one thread less than there are cores, which leaves a core for the
/// event loop.
///
/// Its queue needs no bound, because the seats bound it: only the holder of a seat hands over work.
#[derive(Clone)]
pub(crate) struct CpuPool {
    threads: Arc<rayon::ThreadPool>,
    seats: Admission,
}

impl CpuPool {
    /// A pool of as many threads as the flags say, and the gauge of its seats.
    pub(crate) fn open(services: &mut Services) -> Result<Self, EnvironmentError> {
        let args = &services.args;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = args
            .cpu_threads
            .map_or(cores - 1, |threads| threads as usize);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .thread_name(|index| format!("cpu-{index}"))
            .build();
        let pool = pool.map_err(|error| {
            EnvironmentError(format!(
                "cannot start the threads for parsing: {error}; raise `ulimit -u`, or lower --cpu-threads"
            ))
        })?;
        let pool = Self::of(pool);
        let gauge = pool.seats.clone();
        services.gauge("large_bodies", move || gauge.snapshot());
        Ok(pool)
    }

    fn of(threads: rayon::ThreadPool) -> Self {
        Self {
            // One more than threads, so that the next body is read while all threads compute.
            seats: Admission::new(threads.current_num_threads() + 1),
            threads: Arc::new(threads),
        }
    }

    /// Waits for a seat: the right to read a large body and to have it parsed.
    pub(crate) async fn enter(&self) -> Result<Seat, BodyError> {
        self.seats.enter().await
    }

    /// Runs `job` on a thread of the pool. If its caller has left when its turn comes, it is dropped. A
    /// job that has begun runs to its end.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, BodyError> {
        let (sender, result) = oneshot::channel();
        self.threads.spawn(move || {
            if sender.is_closed() {
                return;
            }
            // Rayon ends the process if a job panics, so the panic is caught here.
            if let Ok(value) = std::panic::catch_unwind(AssertUnwindSafe(job)) {
                let _ = sender.send(value);
            }
        });
        result.await.map_err(|_| BodyError::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_that_panics_is_an_error_and_the_pool_lives_on() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let pool = CpuPool::of(pool.unwrap());
        let panicked = pool.run(|| panic!("on purpose")).await;
        assert!(matches!(panicked, Err(BodyError::Failed)));
        assert_eq!(pool.run(|| 7).await.unwrap(), 7);
    }
}
