use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How fast slots may begin streams, all of them together, whatever they are asked for.
#[derive(Clone, Debug)]
pub struct Pace(Arc<SlotTurns>);

#[derive(Debug)]
struct SlotTurns {
    spacing: Duration,
    next: Mutex<Option<Instant>>,
    number: AtomicU64,
    held_up: AtomicU64,
}

impl Pace {
    /// At most `rate` streams a second, evenly spread.
    #[must_use]
    pub fn new(rate: u32) -> Self {
        Self(Arc::new(SlotTurns {
            spacing: Duration::from_secs(1) / rate.max(1),
            next: Mutex::default(),
            number: AtomicU64::default(),
            held_up: AtomicU64::default(),
        }))
    }

    /// When a slot that is ready at `ready` may begin its stream, and the number of that stream.
    pub(super) fn turn(&self, ready: Instant) -> (u64, Instant) {
        let mut next = self.0.next.lock().unwrap_or_else(PoisonError::into_inner);
        let due = next.map_or(ready, |next| next.max(ready));
        if due > ready {
            self.0.held_up.fetch_add(1, Ordering::Relaxed);
        }
        *next = Some(due + self.0.spacing);
        (self.0.number.fetch_add(1, Ordering::Relaxed), due)
    }

    /// Streams that had to wait for their turn.
    #[must_use]
    pub fn held_up(&self) -> u64 {
        self.0.held_up.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_begin_in_a_second_than_are_allowed() {
        let pace = Pace::new(50);
        let start = Instant::now();
        let begun = (0..200).map(|_| pace.turn(start).1);
        let in_first_second = begun.filter(|due| *due < start + Duration::from_secs(1));
        assert_eq!(in_first_second.count(), 50);
        // Whoever comes later than its turn need not wait, and nothing is saved up meanwhile.
        let late = start + Duration::from_secs(60);
        assert_eq!(pace.turn(late).1, late);
        assert!(pace.turn(late).1 > late);
    }
}
