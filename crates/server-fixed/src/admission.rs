//! How many large bodies may be inside at once, how many may wait for that, and for how long.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use failures::large_body::BodyError;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many large bodies may wait for a seat, and for how long.
const WAITING: usize = 32;
const WAIT: Duration = Duration::from_secs(10);

/// Seats with a bounded queue in front. First come, first served.
#[derive(Clone)]
pub(crate) struct Admission {
    permits: Arc<Semaphore>,
    buffers: Buffers,
    places: Arc<Semaphore>,
    refused: Arc<AtomicU64>,
    limits: SeatLimits,
}

#[derive(Clone, Copy)]
struct SeatLimits {
    /// Most that are inside at once.
    inside: usize,
    /// Most that wait.
    waiting: usize,
    /// How long one waits at most.
    wait: Duration,
}

/// The right to be inside, and a buffer. Dropping the seat gives both back.
///
/// There are as many buffers as seats, and they are used again. That bounds the memory. An allocator with
/// an arena for each thread would keep a body's memory in every thread that ever read one.
pub(crate) struct Seat {
    pub(crate) buffer: Vec<u8>,
    buffers: Buffers,
    _permit: OwnedSemaphorePermit,
}

type Buffers = Arc<Mutex<Vec<Vec<u8>>>>;

/// Seats and queue at one instant.
#[derive(Serialize)]
pub(crate) struct SeatsSnapshot {
    capacity: usize,
    busy: usize,
    queued: usize,
    queue_limit: usize,
    refused: u64,
}

impl Admission {
    /// As many seats as may be `inside` at once.
    pub(crate) fn new(inside: usize) -> Self {
        Self::with(SeatLimits {
            inside,
            waiting: WAITING,
            wait: WAIT,
        })
    }

    fn with(limits: SeatLimits) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(limits.inside)),
            buffers: Buffers::default(),
            places: Arc::new(Semaphore::new(limits.waiting)),
            refused: Arc::default(),
            limits,
        }
    }

    /// Waits for a seat. Dropping the future frees the place in the queue.
    pub(crate) async fn enter(&self) -> Result<Seat, BodyError> {
        match self.permit().await {
            Ok(permit) => Ok(Seat {
                buffer: lock(&self.buffers).pop().unwrap_or_default(),
                buffers: Arc::clone(&self.buffers),
                _permit: permit,
            }),
            Err(error) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, BodyError> {
        let SeatLimits { waiting, wait, .. } = self.limits;
        let permits = Arc::clone(&self.permits);
        if let Ok(permit) = Arc::clone(&permits).try_acquire_owned() {
            return Ok(permit);
        }
        let Ok(_place) = self.places.try_acquire() else {
            return Err(BodyError::QueueFull { waiting });
        };
        match tokio::time::timeout(wait, permits.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            // Nobody closes the semaphore.
            Ok(Err(_)) => Err(BodyError::Failed),
            Err(_) => Err(BodyError::TurnTimeout { limit: wait }),
        }
    }

    pub(crate) fn snapshot(&self) -> SeatsSnapshot {
        let SeatLimits {
            inside, waiting, ..
        } = self.limits;
        SeatsSnapshot {
            capacity: inside,
            busy: inside - self.permits.available_permits(),
            queued: waiting - self.places.available_permits(),
            queue_limit: waiting,
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.buffers).push(std::mem::take(&mut self.buffer));
    }
}

fn lock(buffers: &Mutex<Vec<Vec<u8>>>) -> MutexGuard<'_, Vec<Vec<u8>>> {
    buffers.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission() -> Admission {
        Admission::with(SeatLimits {
            inside: 1,
            waiting: 1,
            wait: Duration::from_secs(10),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn one_waits_its_time_and_the_next_is_refused_at_once() {
        let admission = admission();
        let inside = admission.enter().await.unwrap();
        let waits = tokio::spawn({
            let admission = admission.clone();
            async move { admission.enter().await.err() }
        });
        tokio::task::yield_now().await;
        let refused = admission.enter().await;
        assert!(matches!(refused, Err(BodyError::QueueFull { waiting: 1 })));
        let gave_up = waits.await.unwrap();
        assert!(matches!(gave_up, Some(BodyError::TurnTimeout { .. })));
        let snapshot = admission.snapshot();
        assert_eq!(
            (snapshot.busy, snapshot.queued, snapshot.refused),
            (1, 0, 2)
        );
        drop(inside);
        drop(admission.enter().await.unwrap());
    }

    #[tokio::test]
    async fn a_seat_has_the_buffer_of_the_one_before() {
        let admission = admission();
        let mut seat = admission.enter().await.unwrap();
        seat.buffer.reserve(1 << 20);
        let memory = seat.buffer.as_ptr();
        drop(seat);
        assert_eq!(admission.enter().await.unwrap().buffer.as_ptr(), memory);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_is_next_and_whoever_leaves_takes_no_place() {
        let admission = admission();
        let inside = admission.enter().await.unwrap();
        let left = tokio::time::timeout(Duration::from_secs(1), admission.enter()).await;
        assert!(left.is_err(), "left before its turn");
        let next = tokio::spawn({
            let admission = admission.clone();
            async move { admission.enter().await.is_ok() }
        });
        tokio::task::yield_now().await;
        assert_eq!(admission.snapshot().queued, 1);
        drop(inside);
        assert!(next.await.unwrap());
    }
}
