use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// Most clients that are told apart; what others send counts under [`OTHERS`].
const CLIENTS: usize = 64;

/// The name under which the clients beyond the bound are counted.
const OTHERS: &str = "others";

/// How many bodies of which size each client sent. Clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct Sizes {
    clients: Arc<Mutex<BTreeMap<String, SizeCounts>>>,
}

/// Bodies of one client by size. Each body is in `count` and in exactly one of the others: the
/// smallest bound that it does not exceed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeCounts {
    /// All bodies.
    pub count: u64,
    /// Up to 1 KiB.
    pub le_1k: u64,
    /// Above 1 KiB, up to 64 KiB.
    pub le_64k: u64,
    /// Above 64 KiB, up to 1 MiB.
    pub le_1m: u64,
    /// Above 1 MiB, up to 16 MiB.
    pub le_16m: u64,
    /// Above 16 MiB.
    pub above: u64,
}

impl Sizes {
    /// Counts a body of `bytes` bytes.
    pub fn record(&self, client: &str, bytes: u64) {
        let mut clients = self.lock();
        let is_known = clients.contains_key(client) || clients.len() < CLIENTS;
        let key = if is_known { client } else { OTHERS };
        clients.entry(key.to_owned()).or_default().add(bytes);
    }

    /// The counts of every client now.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<String, SizeCounts> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, SizeCounts>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SizeCounts {
    fn add(&mut self, bytes: u64) {
        self.count += 1;
        let bucket = match bytes {
            0..=0x400 => &mut self.le_1k,
            0x401..=0x1_0000 => &mut self.le_64k,
            0x1_0001..=0x10_0000 => &mut self.le_1m,
            0x10_0001..=0x100_0000 => &mut self.le_16m,
            _ => &mut self.above,
        };
        *bucket += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_in_the_smallest_bucket_that_holds_it() {
        let sizes = Sizes::default();
        for bytes in [
            0,
            1 << 10,
            (1 << 10) + 1,
            1 << 16,
            1 << 20,
            1 << 24,
            (1 << 24) + 1,
        ] {
            sizes.record("a", bytes);
        }
        let expected = SizeCounts {
            count: 7,
            le_1k: 2,
            le_64k: 2,
            le_1m: 1,
            le_16m: 1,
            above: 1,
        };
        assert_eq!(sizes.snapshot()["a"], expected);
    }

    #[test]
    fn clients_are_bounded_and_no_body_is_lost() {
        let sizes = Sizes::default();
        for client in 0..1000 {
            sizes.record(&client.to_string(), 1);
        }
        sizes.record("0", 1);
        let snapshot = sizes.snapshot();
        assert_eq!(snapshot.len(), CLIENTS + 1);
        assert_eq!(snapshot["0"].count, 2);
        assert_eq!(snapshot[OTHERS].count, 1000 - CLIENTS as u64);
    }
}
