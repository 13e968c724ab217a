//! The ground truth: an account of every stream. A drop guard closes it.

mod entry;
mod guard;
mod record;
mod tally;

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::clock::unix_us;
use entry::{AccountEnd, OpenAccount};
use tally::LedgerBooks;

pub use entry::Opening;
pub use guard::Guard;
pub use record::{Cause, Class, Kind, Phase, StreamRecord};
pub use tally::Tally;

/// The ledger of all streams, with a bounded history of those that have ended.
#[derive(Debug)]
pub struct Ledger {
    books: Mutex<LedgerBooks>,
    empty: Notify,
}

impl Ledger {
    /// An empty ledger that remembers the last `history` streams that ended.
    #[must_use]
    pub fn new(history: usize) -> Arc<Self> {
        Arc::new(Self {
            books: Mutex::new(LedgerBooks::new(history)),
            empty: Notify::new(),
        })
    }

    /// Enters a stream that is over before it begins.
    pub fn settle(&self, opening: &Opening, phase: Phase, cause: Cause) {
        let mut books = self.books();
        books.settle(opening, phase, AccountEnd::now(cause, None));
    }

    /// The counts now.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.books().tally.clone()
    }

    /// The streams that are open now, oldest first.
    #[must_use]
    pub fn open_streams(&self) -> Vec<StreamRecord> {
        // Under the lock only the handles are cloned. The records are made after it.
        let entries: Vec<_> = self.books().open.values().cloned().collect();
        let mut records: Vec<_> = entries.iter().map(|entry| entry.record(None)).collect();
        records.sort_unstable_by_key(|record| record.id);
        records
    }

    /// The streams of the history that ended at `since_us` or later, in the order of their ends.
    #[must_use]
    pub fn ended_streams(&self, since_us: u64) -> Vec<Arc<StreamRecord>> {
        let books = self.books();
        let recent = |record: &&Arc<StreamRecord>| record.ended_us >= Some(since_us);
        books.ended.iter().filter(recent).cloned().collect()
    }

    /// Completes once no stream is open.
    ///
    /// # Cancel safety
    /// Safe: nothing is consumed.
    pub async fn quiesced(&self) {
        loop {
            let mut empty = std::pin::pin!(self.empty.notified());
            // Registers before the count is read, so that a close in between is not missed.
            empty.as_mut().enable();
            if self.books().tally.open == 0 {
                return;
            }
            empty.await;
        }
    }

    fn admit(&self, entry: &OpenAccount) {
        self.books().admit(entry);
    }

    fn close(&self, entry: &OpenAccount, cause: Cause, hang_up_us: Option<u64>) {
        let mut books = self.books();
        if books.close(entry, AccountEnd::now(cause, hang_up_us)) == 0 {
            drop(books);
            self.empty.notify_waiters();
        }
    }

    fn books(&self) -> std::sync::MutexGuard<'_, LedgerBooks> {
        // Books of a poisoned lock are right: each change is complete before anything that could panic.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AccountEnd {
    /// Call this under the ledger's lock, so that the history is in the order of time.
    fn now(cause: Cause, hang_up_us: Option<u64>) -> Self {
        Self {
            cause,
            ended_us: unix_us(),
            hang_up_us,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(retry: u32) -> Opening {
        Opening {
            kind: Kind::SlowStream,
            request_id: "request".into(),
            started_us: 1,
            retry,
            peer: None,
        }
    }

    fn open(ledger: &Arc<Ledger>) -> Guard {
        ledger.open(opening(0), Phase::Headers)
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
    fn queued_and_running_streams_are_all_that_are_open() {
        let ledger = Ledger::new(100);
        let queue = || ledger.open(opening(0), Phase::Queued);
        let (first, second, third) = (queue(), queue(), queue());
        first.admitted();
        second.admitted();
        drop((first, third));
        ledger.settle(&opening(0), Phase::Queued, Cause::Refused);
        let tally = ledger.tally();
        assert!(tally.is_conserved(), "{tally:?}");
        assert_eq!((tally.started, tally.queued, tally.running), (4, 0, 1));
        assert_eq!((tally.queued_peak, tally.running_peak), (3, 2));
        assert_eq!(tally.open_peak, 3, "who is refused was never in");
        assert_eq!(tally.by_phase[&Phase::Queued], 2);
        let ended = ledger.ended_streams(0);
        let admitted: Vec<bool> = ended.iter().map(|r| r.admitted_us.is_some()).collect();
        assert_eq!(admitted, [true, false, false]);
        drop(second);
    }

    #[test]
    fn repeats_are_told_from_load() {
        let ledger = Ledger::new(100);
        for retry in [0, 0, 1, 2, 2, 70] {
            drop(ledger.open(opening(retry), Phase::Headers));
        }
        let tally = ledger.tally();
        assert_eq!((tally.started, tally.retries), (6, 4));
        let counts = [("0", 2), ("1", 1), ("2", 2), ("9", 1)];
        let expected = counts.map(|(key, count)| (key.to_owned(), count));
        assert_eq!(tally.by_retry_count, expected.into());
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
            .ended_streams(0)
            .iter()
            .map(|record| record.id)
            .collect();
        assert_eq!(ids, [8, 9, 10]);
        let since = ledger.ended_streams(0)[1].ended_us.unwrap();
        let recent = ledger.ended_streams(since);
        assert!(recent.len() >= 2 && recent.iter().all(|r| r.ended_us >= Some(since)));
        assert!(ledger.ended_streams(u64::MAX).is_empty());
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
