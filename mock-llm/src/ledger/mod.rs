//! The ground truth: an account of every stream, closed by a drop guard.

mod guard;
mod record;
mod tally;

use std::sync::{Arc, Mutex, PoisonError};

use service::Peer;
use tokio::sync::Notify;

use guard::Entry;
use tally::Books;

pub use guard::{Guard, unix_us};
pub use record::{Cause, Class, Kind, Phase, StreamRecord};
pub use tally::Tally;

/// The ledger of all streams, with a bounded history of those that have ended.
#[derive(Debug)]
pub struct Ledger {
    books: Mutex<Books>,
    empty: Notify,
}

impl Ledger {
    /// An empty ledger that remembers the last `history` streams that ended.
    #[must_use]
    pub fn new(history: usize) -> Arc<Self> {
        Arc::new(Self {
            books: Mutex::new(Books::new(history)),
            empty: Notify::new(),
        })
    }

    /// Opens the account of a stream whose request arrived at `started_us`.
    #[must_use]
    pub fn open(
        self: &Arc<Self>,
        kind: Kind,
        request_id: Arc<str>,
        started_us: u64,
        peer: Option<Peer>,
    ) -> Guard {
        let address = peer
            .as_ref()
            .map(|peer| peer.address.to_string())
            .unwrap_or_default();
        let entry = self
            .books()
            .open(|id| Arc::new(Entry::new(id, request_id, kind, address, started_us)));
        Guard::new(Arc::clone(self), entry, peer)
    }

    /// The counts now.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.books().tally.clone()
    }

    /// The streams that are open now, oldest first.
    #[must_use]
    pub fn open_streams(&self) -> Vec<StreamRecord> {
        // Cloning the handles is cheap; the records are made outside the lock.
        let entries: Vec<_> = self.books().open.values().cloned().collect();
        let mut records: Vec<_> = entries.iter().map(|entry| entry.record(None)).collect();
        records.sort_unstable_by_key(|record| record.id);
        records
    }

    /// The streams that have ended, in the order in which they did, as far as the history goes.
    #[must_use]
    pub fn ended_streams(&self) -> Vec<StreamRecord> {
        self.books().ended.iter().cloned().collect()
    }

    /// Completes once no stream is open.
    ///
    /// # Cancel safety
    /// Safe: nothing is consumed.
    pub async fn quiesced(&self) {
        loop {
            let mut empty = std::pin::pin!(self.empty.notified());
            // Registered before the count is read, or the last close in between would be missed.
            empty.as_mut().enable();
            if self.books().tally.open == 0 {
                return;
            }
            empty.await;
        }
    }

    fn close(&self, entry: &Entry, cause: Cause) {
        let record = entry.record(Some((cause, unix_us())));
        if self.books().close(record, cause) == 0 {
            self.empty.notify_waiters();
        }
    }

    fn books(&self) -> std::sync::MutexGuard<'_, Books> {
        // The books stay balanced even if a holder of the lock panicked: each change is complete
        // before anything that could panic.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(ledger: &Arc<Ledger>) -> Guard {
        ledger.open(Kind::SlowStream, "request".into(), 1, None)
    }

    #[test]
    fn every_stream_is_counted_once_however_it_ends() {
        let ledger = Ledger::new(100);
        let mut completed = open(&ledger);
        completed.head_sent();
        completed.token_written(true);
        completed.declare(Cause::Completed);
        let mut cut = open(&ledger);
        cut.declare(Cause::Cut);
        let abandoned = open(&ledger);
        let still_open = open(&ledger);
        drop((completed, cut, abandoned));
        let tally = ledger.tally();
        assert!(tally.is_conserved(), "{tally:?}");
        assert_eq!((tally.started, tally.open, tally.open_peak), (4, 1, 4));
        assert_eq!((tally.completed, tally.errored, tally.aborted), (1, 1, 1));
        assert_eq!(tally.by_phase[&Phase::AfterLastContent], 1);
        assert_eq!(tally.by_cause[&Cause::ServerClosed], 1);
        assert_eq!(ledger.open_streams()[0].id, still_open.id());
    }

    #[test]
    fn a_panicking_handler_closes_its_account() {
        let ledger = Ledger::new(100);
        let guard = open(&ledger);
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _guard = guard;
            panic!("on purpose");
        }));
        assert_eq!(ledger.tally().open, 0);
    }

    #[test]
    fn the_history_is_bounded_and_keeps_the_newest() {
        let ledger = Ledger::new(3);
        for _ in 0..10 {
            drop(open(&ledger));
        }
        let ids: Vec<u64> = ledger
            .ended_streams()
            .iter()
            .map(|record| record.id)
            .collect();
        assert_eq!(ids, [8, 9, 10]);
        assert_eq!(ledger.tally().started, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn quiesced_waits_for_the_last_stream() {
        let ledger = Ledger::new(3);
        let (one, two) = (open(&ledger), open(&ledger));
        let waiting = tokio::spawn({
            let ledger = Arc::clone(&ledger);
            async move { ledger.quiesced().await }
        });
        drop(one);
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        assert!(!waiting.is_finished());
        drop(two);
        waiting.await.unwrap();
    }
}
