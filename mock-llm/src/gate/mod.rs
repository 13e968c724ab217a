//! The limit on answers under way, the bounded queue in front of it, and the load that results.

mod limits;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::histogram::Times;

pub use limits::{Limits, load_factor, queued, running};

/// Lets requests in up to the limit, keeps further ones waiting in order of arrival, and refuses those that
/// find the queue full.
#[derive(Debug)]
pub struct Gate {
    state: Mutex<GateState>,
    load: Load,
    waits: Times,
}

#[derive(Debug)]
struct GateState {
    limits: Limits,
    running: u32,
    /// The requests that wait, by their number. Numbers grow, so the first entry is the next in turn.
    queue: BTreeMap<u64, oneshot::Sender<Slot>>,
    numbered: u64,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Admission {
    /// It may run at once.
    Now(Slot),
    /// It has to wait.
    Queued(QueuePlace),
    /// The queue is full as well, at these limits.
    Refused(Limits),
}

/// The right to run, given back when this is dropped.
#[derive(Debug)]
pub struct Slot {
    gate: Arc<Gate>,
    granted: Instant,
}

/// A place in the queue. It completes when the request may run, and is given up when dropped.
///
/// # Cancel safety
/// If it is dropped after the right to run was granted and before it was taken, the right goes to the
/// next request.
#[derive(Debug)]
pub struct QueuePlace {
    gate: Arc<Gate>,
    number: u64,
    granted: oneshot::Receiver<Slot>,
    since: Instant,
    was_granted: bool,
}

/// How many times as slow the service is now. Clones see the same load.
#[derive(Clone, Debug)]
pub struct Load {
    /// The bits of an `f64`. An atomic and not a lock, because it is read for each token.
    factor: Arc<AtomicU64>,
}

impl Gate {
    /// A gate that nobody has passed yet.
    #[must_use]
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(GateState {
                limits,
                running: 0,
                queue: BTreeMap::new(),
                numbered: 0,
            }),
            load: Load::default(),
            waits: Times::default(),
        })
    }

    /// Asks for the right to run.
    #[must_use]
    pub fn enter(self: &Arc<Self>) -> Admission {
        let since = Instant::now();
        let mut state = self.state();
        if state.has_room() {
            state.running += 1;
            self.load.follow(&state);
            if state.limits.max_running.is_some() {
                self.waits.record(Duration::ZERO);
            }
            return Admission::Now(Slot {
                gate: Arc::clone(self),
                granted: since,
            });
        }
        if state.queue.len() >= state.limits.max_queued as usize {
            return Admission::Refused(state.limits);
        }
        let (sender, granted) = oneshot::channel();
        state.numbered += 1;
        let number = state.numbered;
        state.queue.insert(number, sender);
        Admission::Queued(QueuePlace {
            gate: Arc::clone(self),
            number,
            granted,
            since,
            was_granted: false,
        })
    }

    /// Changes the limits. Requests that run go on. Requests that wait keep waiting or are let in.
    pub fn set_limits(self: &Arc<Self>, limits: Limits) {
        let mut state = self.state();
        state.limits = limits;
        self.let_in(state);
    }

    /// The load, for those who set a pace.
    #[must_use]
    pub fn load(&self) -> Load {
        self.load.clone()
    }

    /// How long requests were in the queue: 0 for requests that could run at once, and the time until they
    /// left for requests that gave up. Without a limit nothing is entered.
    #[must_use]
    pub fn waits(&self) -> &Times {
        &self.waits
    }

    /// Fills the free places from the queue.
    fn let_in(self: &Arc<Self>, mut state: MutexGuard<'_, GateState>) {
        let mut granted = Vec::new();
        while state.has_room()
            && let Some((_, next)) = state.queue.pop_first()
        {
            state.running += 1;
            granted.push(next);
        }
        self.load.follow(&state);
        drop(state);
        let now = Instant::now();
        for next in granted {
            // The lock is released: a slot that nobody takes is given back in this call.
            let _ = next.send(Slot {
                gate: Arc::clone(self),
                granted: now,
            });
        }
    }

    fn state(&self) -> MutexGuard<'_, GateState> {
        // State of a poisoned lock is right: each change is complete before anything that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GateState {
    fn has_room(&self) -> bool {
        self.limits
            .max_running
            .is_none_or(|most| self.running < most)
    }
}

impl Slot {
    /// When it was granted. The answer's time counts from here, also if it learns of it later.
    #[must_use]
    pub fn granted(&self) -> Instant {
        self.granted
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.running -= 1;
        self.gate.let_in(state);
    }
}

impl Future for QueuePlace {
    type Output = Slot;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Slot> {
        let slot = ready!(Pin::new(&mut self.granted).poll(cx))
            .expect("a sender stays in the queue until it is used");
        self.was_granted = true;
        let waited = slot.granted.saturating_duration_since(self.since);
        self.gate.waits.record(waited);
        Poll::Ready(slot)
    }
}

impl Drop for QueuePlace {
    fn drop(&mut self) {
        if !self.was_granted {
            self.gate.state().queue.remove(&self.number);
            self.gate.waits.record(self.since.elapsed());
        }
    }
}

impl Load {
    /// What times are multiplied by.
    #[must_use]
    pub fn factor(&self) -> f64 {
        f64::from_bits(self.factor.load(Ordering::Relaxed))
    }

    fn follow(&self, state: &GateState) {
        let factor = state.limits.factor(state.running);
        self.factor.store(factor.to_bits(), Ordering::Relaxed);
    }
}

impl Default for Load {
    /// None.
    fn default() -> Self {
        Self {
            factor: Arc::new(AtomicU64::new(1.0_f64.to_bits())),
        }
    }
}

#[cfg(test)]
mod tests;
