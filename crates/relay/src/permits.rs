//! The limit on exchanges with the upstream: one permit each, held until the body ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Every permit is taken: refused at once rather than made to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("all {limit} upstream permits are in use")]
pub struct Shed {
    /// How many permits there are.
    pub limit: usize,
}

/// The right to one exchange with the upstream; given back when dropped.
///
/// It belongs into [`Relay::guard`](crate::Relay::guard), which holds it until the *body* ends. A
/// permit that is given back at the response head limits nothing where responses are streams.
#[derive(Debug)]
pub struct Permit {
    _permit: OwnedSemaphorePermit,
    granted: Instant,
}

#[derive(Debug)]
pub(crate) struct Permits {
    limit: usize,
    semaphore: Arc<Semaphore>,
    peak: AtomicUsize,
    refused: AtomicU64,
}

impl Permit {
    /// When it was granted: the start of the exchange.
    pub(crate) fn granted(&self) -> Instant {
        self.granted
    }
}

impl Permits {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            semaphore: Arc::new(Semaphore::new(limit)),
            peak: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
        }
    }

    pub(crate) fn acquire(&self) -> Result<Permit, Shed> {
        let Ok(permit) = Arc::clone(&self.semaphore).try_acquire_owned() else {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Shed { limit: self.limit });
        };
        self.peak.fetch_max(self.in_use(), Ordering::Relaxed);
        Ok(Permit {
            _permit: permit,
            granted: Instant::now(),
        })
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn in_use(&self) -> usize {
        self.limit - self.semaphore.available_permits()
    }

    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_the_limit_is_refused_and_counted() {
        let permits = Permits::new(2);
        let first = permits.acquire().unwrap();
        let _second = permits.acquire().unwrap();
        assert_eq!(permits.acquire().unwrap_err(), Shed { limit: 2 });
        drop(first);
        assert_eq!(permits.in_use(), 1);
        let _third = permits.acquire().unwrap();
        assert_eq!(
            (permits.in_use(), permits.peak(), permits.refused()),
            (2, 2, 1)
        );
    }
}
