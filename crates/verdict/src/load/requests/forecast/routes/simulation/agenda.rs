use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A queue of events by time; of those at one time, in the order in which they were added.
#[derive(Debug)]
pub(crate) struct Agenda<E> {
    events: BinaryHeap<Reverse<(u64, u64, E)>>,
    added: u64,
}

impl<E: Ord + Copy> Agenda<E> {
    pub(crate) fn new() -> Self {
        Self {
            events: BinaryHeap::new(),
            added: 0,
        }
    }

    pub(crate) fn add(&mut self, at: u64, event: E) {
        self.added += 1;
        self.events.push(Reverse((at, self.added, event)));
    }

    pub(crate) fn next_at(&self) -> Option<u64> {
        self.events.peek().map(|&Reverse((at, ..))| at)
    }

    /// The next event, if it is not later than `at`.
    pub(crate) fn pop_until(&mut self, at: u64) -> Option<(u64, E)> {
        if self.next_at()? > at {
            return None;
        }
        self.events.pop().map(|Reverse((at, _, event))| (at, event))
    }
}
