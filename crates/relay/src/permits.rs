//! The limits of a relay. The first is on exchanges with the upstream: a permit each, held until the body
//! ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::quota::{Quota, Share};

/// Least number of places to wait and of bodies at once, however few permits there are. A burst of small
/// requests at a small limit is no reason to refuse.
const PLACES_AT_LEAST: usize = 64;

/// Bytes of memory that all request bodies together may take, unless
/// [`Relay::with_body_budget`](crate::Relay::with_body_budget) says otherwise: 256 MiB.
pub const REQUEST_BODY_BUDGET: usize = 256 << 20;

/// Refused, because a limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{}{}", of.sentence(*limit), in_vain(*waited))]
pub struct Shed {
    /// The limit that is reached.
    pub of: Scarce,
    /// Its value: a number, or of [`Scarce::BodyBytes`] bytes.
    pub limit: usize,
    /// How long a permit was [waited for](crate::Relay::permit_within); zero for all other limits.
    pub waited: Duration,
}

/// What a relay has only so much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scarce {
    /// Permits, each for one exchange: [`Relay::new`](crate::Relay::new).
    Permits,
    /// Places to wait for a permit: [`Relay::with_max_waiting`](crate::Relay::with_max_waiting).
    PlacesToWait,
    /// Request bodies that may be read at once:
    /// [`Relay::with_max_bodies`](crate::Relay::with_max_bodies).
    Bodies,
    /// Bytes of memory for all request bodies together:
    /// [`Relay::with_body_budget`](crate::Relay::with_body_budget).
    BodyBytes,
}

impl Scarce {
    fn sentence(self, limit: usize) -> String {
        match self {
            Self::Permits => format!("all {limit} upstream permits are in use"),
            Self::PlacesToWait => {
                format!(
                    "all upstream permits are in use, and {limit} requests wait for one already"
                )
            }
            Self::Bodies => format!("{limit} request bodies are being read already"),
            Self::BodyBytes => {
                format!("this request body finds no room in the {limit} bytes for all of them")
            }
        }
    }
}

fn in_vain(waited: Duration) -> String {
    if waited.is_zero() {
        return String::new();
    }
    format!(", and none came free within {waited:.1?}")
}

/// The right to one exchange with the upstream; given back when dropped.
///
/// Give it to [`Relay::guard`](crate::Relay::guard), which holds it until the *body* ends. A permit that
/// is given back at the response head does not limit streams.
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
    waiting: Arc<Quota>,
    bodies: Arc<Quota>,
    body_bytes: Arc<Quota>,
    refused: AtomicU64,
}

impl Permit {
    /// When it was granted: the start of the exchange.
    pub(crate) fn granted(&self) -> Instant {
        self.granted
    }
}

impl Permits {
    /// The limit is at most what a semaphore can count.
    pub(crate) fn new(limit: usize) -> Self {
        let limit = limit.min(Semaphore::MAX_PERMITS);
        Self {
            limit,
            semaphore: Arc::new(Semaphore::new(limit)),
            peak: AtomicUsize::new(0),
            waiting: Quota::new(limit.max(PLACES_AT_LEAST)),
            bodies: Quota::new(limit.max(PLACES_AT_LEAST)),
            body_bytes: Quota::new(REQUEST_BODY_BUDGET),
            refused: AtomicU64::new(0),
        }
    }

    pub(crate) fn acquire(&self) -> Result<Permit, Shed> {
        self.try_acquire()
            .ok_or_else(|| self.shed(Scarce::Permits, self.limit, Duration::ZERO))
    }

    /// Refuses if no permit is free. Takes none.
    pub(crate) fn precheck(&self) -> Result<(), Shed> {
        match self.semaphore.available_permits() {
            0 => Err(self.shed(Scarce::Permits, self.limit, Duration::ZERO)),
            _ => Ok(()),
        }
    }

    pub(crate) async fn acquire_within(&self, limit: Duration) -> Result<Permit, Shed> {
        // This overtakes nobody: a permit that comes back goes to the first in the queue.
        if let Some(permit) = self.try_acquire() {
            return Ok(permit);
        }
        let since = Instant::now();
        let Some(_waiting) = self.waiting.take(1) else {
            let places = self.waiting.limit();
            return Err(self.shed(Scarce::PlacesToWait, places, Duration::ZERO));
        };
        let acquired = Arc::clone(&self.semaphore).acquire_owned();
        match tokio::time::timeout(limit, acquired).await {
            Ok(Ok(permit)) => Ok(self.granted(permit)),
            // The time is over: the semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(self.shed(Scarce::Permits, self.limit, since.elapsed())),
        }
    }

    /// Takes the right to read a body that has to be waited for.
    pub(crate) fn read_a_body(&self) -> Result<Share, Shed> {
        let refused = || self.shed(Scarce::Bodies, self.bodies.limit(), Duration::ZERO);
        self.bodies.take(1).ok_or_else(refused)
    }

    /// Refuses a body of `bytes` for which there is no room now. Takes nothing.
    pub(crate) fn check_room_for(&self, bytes: usize) -> Result<(), Shed> {
        if bytes <= self.body_bytes.left() {
            return Ok(());
        }
        Err(self.no_room())
    }

    /// Grows a body's share of the memory for all bodies to `bytes`.
    pub(crate) fn hold_bytes(&self, memory: &mut Share, bytes: usize) -> Result<(), Shed> {
        if memory.grow_to(bytes) {
            return Ok(());
        }
        Err(self.no_room())
    }

    /// The places for bodies that are being read.
    pub(crate) fn bodies(&self) -> &Quota {
        &self.bodies
    }

    /// The memory for request bodies.
    pub(crate) fn body_bytes(&self) -> &Arc<Quota> {
        &self.body_bytes
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

    /// The places to wait for a permit.
    pub(crate) fn waiting(&self) -> &Quota {
        &self.waiting
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn try_acquire(&self) -> Option<Permit> {
        let permit = Arc::clone(&self.semaphore).try_acquire_owned().ok()?;
        Some(self.granted(permit))
    }

    fn granted(&self, permit: OwnedSemaphorePermit) -> Permit {
        self.peak.fetch_max(self.in_use(), Ordering::Relaxed);
        Permit {
            _permit: permit,
            granted: Instant::now(),
        }
    }

    fn no_room(&self) -> Shed {
        self.shed(Scarce::BodyBytes, self.body_bytes.limit(), Duration::ZERO)
    }

    fn shed(&self, of: Scarce, limit: usize, waited: Duration) -> Shed {
        self.refused.fetch_add(1, Ordering::Relaxed);
        Shed { of, limit, waited }
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
        let shed = permits.acquire().unwrap_err();
        assert_eq!((shed.limit, shed.waited), (2, Duration::ZERO));
        drop(first);
        assert_eq!(permits.in_use(), 1);
        let _third = permits.acquire().unwrap();
        assert_eq!(
            (permits.in_use(), permits.peak(), permits.refused()),
            (2, 2, 1)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_at_its_limit_as_a_refusal() {
        let permits = Permits::new(1);
        let _held = permits.acquire().unwrap();
        let limit = Duration::from_secs(5);
        let shed = permits.acquire_within(limit).await.unwrap_err();
        assert_eq!((shed.limit, shed.waited), (1, limit));
        assert_eq!(
            shed.to_string(),
            "all 1 upstream permits are in use, and none came free within 5.0s"
        );
        assert_eq!((permits.waiting().taken(), permits.refused()), (0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn places_to_wait_are_counted_and_one_too_many_is_refused_at_once() {
        let permits = Arc::new(Permits::new(1));
        permits.waiting().set_limit(2);
        let held = permits.acquire().unwrap();
        let waiting = [0, 1].map(|_| {
            let permits = Arc::clone(&permits);
            tokio::spawn(async move { permits.acquire_within(Duration::MAX).await.map(drop) })
        });
        tokio::task::yield_now().await;
        assert_eq!(permits.waiting().taken(), 2);
        let began = Instant::now();
        let shed = permits.acquire_within(Duration::from_secs(60)).await;
        let shed = shed.unwrap_err();
        assert_eq!((shed.of, shed.limit), (Scarce::PlacesToWait, 2));
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert_eq!(
            shed.to_string(),
            "all upstream permits are in use, and 2 requests wait for one already"
        );
        drop(held);
        for served in waiting {
            served.await.unwrap().unwrap();
        }
        assert_eq!((permits.waiting().taken(), permits.refused()), (0, 1));
    }

    #[test]
    fn no_limit_is_the_most_that_can_be_counted() {
        let permits = Permits::new(usize::MAX);
        assert_eq!(permits.limit(), Semaphore::MAX_PERMITS);
        let _held = permits.acquire().unwrap();
        assert_eq!(permits.in_use(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_are_served_in_their_order_and_not_overtaken() {
        let permits = Arc::new(Permits::new(1));
        let held = permits.acquire().unwrap();
        let (served, mut order) = tokio::sync::mpsc::unbounded_channel();
        for name in ["first", "second"] {
            let (permits, served) = (Arc::clone(&permits), served.clone());
            tokio::spawn(async move {
                let permit = permits.acquire_within(Duration::MAX).await.unwrap();
                served.send((name, permit)).unwrap();
            });
            tokio::task::yield_now().await;
        }
        assert_eq!(permits.waiting().taken(), 2);
        drop(held);
        permits.acquire().unwrap_err();
        let (name, permit) = order.recv().await.unwrap();
        assert_eq!((name, permits.waiting().taken()), ("first", 1));
        drop(permit);
        assert_eq!(order.recv().await.unwrap().0, "second");
        assert_eq!((permits.in_use(), permits.waiting().taken()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_leaves_the_queue_takes_no_permit_along() {
        let permits = Permits::new(1);
        let held = permits.acquire().unwrap();
        {
            let mut leaver = std::pin::pin!(permits.acquire_within(Duration::MAX));
            tokio::select! {
                biased;
                _ = &mut leaver => panic!("there is no permit"),
                () = tokio::task::yield_now() => {}
            }
            // From here on the permit is the leaver's, who does not come for it.
            drop(held);
            assert_eq!((permits.in_use(), permits.waiting().taken()), (1, 1));
        }
        assert_eq!((permits.in_use(), permits.waiting().taken()), (0, 0));
        assert_eq!(permits.refused(), 0, "to leave is not to be refused");
    }
}
