use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::dice::mix;

/// Generates ids for requests that come without one: the same sequence for the same seed.
#[derive(Debug)]
pub struct RequestNames {
    seed: u64,
    given: AtomicU64,
}

impl RequestNames {
    /// The sequence of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            given: AtomicU64::new(0),
        }
    }

    /// The next id of the sequence.
    pub fn next(&self) -> Arc<str> {
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        format!("req_{:016x}", mix(mix(self.seed) ^ number)).into()
    }
}
