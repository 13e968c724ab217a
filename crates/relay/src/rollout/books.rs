//! The counters of a rollout: what became of each cohort, and what is under way on each path.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::assignment::StreamMethod;
use super::outcome::Outcome;

/// Upper bounds of the TTFT histogram, in seconds. Values above the last are in `+Inf`.
pub(super) const TTFT_BOUNDS: [f64; 14] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0,
];

/// The rollout's counters at one instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RolloutSnapshot {
    /// The percentage in force, 0 to 100.
    pub percentage: u8,
    /// The seed of the assignment.
    pub seed: u64,
    /// Clients being served by each path, those in its queue included. If clients stay to the end, a
    /// pool of `c` threads is exhausted when `blocking` reaches `c`, whatever the percentage is. A client
    /// that left is not counted any more, but its job may still hold its thread.
    pub in_flight: BTreeMap<StreamMethod, usize>,
    /// The cohorts, by the path of their keys.
    pub cohorts: BTreeMap<StreamMethod, CohortSnapshot>,
    /// How many requests of the async cohort the blocking path served, by reason; empty if none.
    pub fallbacks: BTreeMap<String, u64>,
}

/// One cohort's counters. A request that fell back stays in its cohort (*intention to treat*), because
/// otherwise failures of the new path would count for the old one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CohortSnapshot {
    /// Requests that have begun.
    pub requests: u64,
    /// How many ended in which way, by [`Outcome::label`]; every label is there.
    pub outcomes: BTreeMap<String, u64>,
    /// How many got a first byte of an answer below 400.
    pub first_bytes: u64,
    /// Time from the request to that byte, summed over those requests, in microseconds. Clients that
    /// still wait, or left before it, are missing: read it beside `in_flight` and `unserved`.
    pub ttft_us_total: u64,
}

#[derive(Debug, Default)]
pub(super) struct CohortBooks {
    in_flight: [AtomicUsize; 2],
    cohorts: [Cohort; 2],
    fallbacks: Mutex<BTreeMap<&'static str, u64>>,
}

#[derive(Debug, Default)]
struct Cohort {
    requests: AtomicU64,
    outcomes: Mutex<BTreeMap<&'static str, u64>>,
    ttft: Mutex<Ttft>,
}

/// A histogram of times to the first byte, as Prometheus has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Ttft {
    pub(super) count: u64,
    pub(super) sum: Duration,
    /// The count of each bucket, not cumulated. The last bucket is above all bounds.
    pub(super) buckets: [u64; TTFT_BOUNDS.len() + 1],
}

impl Ttft {
    fn observe(&mut self, ttft: Duration) {
        let seconds = ttft.as_secs_f64();
        let bucket = TTFT_BOUNDS.partition_point(|bound| *bound < seconds);
        self.buckets[bucket] += 1;
        self.count += 1;
        self.sum += ttft;
    }
}

impl CohortBooks {
    pub(super) fn in_flight(&self, method: StreamMethod) -> usize {
        self.in_flight[method.index()].load(Ordering::Relaxed)
    }

    pub(super) fn requests(&self, cohort: StreamMethod) -> u64 {
        self.cohorts[cohort.index()]
            .requests
            .load(Ordering::Relaxed)
    }

    /// Every label is there from the start, because a counter that appears late has no rate.
    pub(super) fn outcomes(&self, cohort: StreamMethod) -> BTreeMap<&'static str, u64> {
        let counted = lock(&self.cohorts[cohort.index()].outcomes).clone();
        let mut all: BTreeMap<_, _> = Outcome::LABELS.map(|label| (label, 0)).into();
        all.extend(counted);
        all
    }

    pub(super) fn ttft(&self, cohort: StreamMethod) -> Ttft {
        lock(&self.cohorts[cohort.index()].ttft).clone()
    }

    pub(super) fn fallbacks(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.fallbacks).clone()
    }

    pub(super) fn cohort(&self, cohort: StreamMethod) -> CohortSnapshot {
        let ttft = self.ttft(cohort);
        CohortSnapshot {
            requests: self.requests(cohort),
            outcomes: named(self.outcomes(cohort)),
            first_bytes: ttft.count,
            ttft_us_total: u64::try_from(ttft.sum.as_micros()).unwrap_or(u64::MAX),
        }
    }
}

pub(super) fn named(counts: BTreeMap<&'static str, u64>) -> BTreeMap<String, u64> {
    let counts = counts.into_iter();
    counts
        .map(|(label, count)| (label.to_owned(), count))
        .collect()
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One request's entry in the books. If it is dropped before it was closed, its client is gone.
#[derive(Debug)]
pub(super) struct RequestEntry {
    books: Arc<CohortBooks>,
    cohort: StreamMethod,
    serving: StreamMethod,
    begun: Instant,
    is_closed: bool,
}

impl RequestEntry {
    pub(super) fn open(books: Arc<CohortBooks>, cohort: StreamMethod) -> Self {
        let count = &books.cohorts[cohort.index()].requests;
        count.fetch_add(1, Ordering::Relaxed);
        books.in_flight[cohort.index()].fetch_add(1, Ordering::Relaxed);
        Self {
            books,
            cohort,
            serving: cohort,
            begun: Instant::now(),
            is_closed: false,
        }
    }

    /// The path that serves it.
    pub(super) fn serving(&self) -> StreamMethod {
        self.serving
    }

    /// The blocking path serves it from now on.
    pub(super) fn fall_back(&mut self, reason: &'static str) {
        *lock(&self.books.fallbacks).entry(reason).or_default() += 1;
        let in_flight = &self.books.in_flight;
        in_flight[self.serving.index()].fetch_sub(1, Ordering::Relaxed);
        self.serving = StreamMethod::Blocking;
        in_flight[self.serving.index()].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn first_byte(&self) {
        let ttft = self.begun.elapsed();
        lock(&self.books.cohorts[self.cohort.index()].ttft).observe(ttft);
    }

    /// Counts the outcome, the first one only.
    pub(super) fn close(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.is_closed, true) {
            return;
        }
        self.books.in_flight[self.serving.index()].fetch_sub(1, Ordering::Relaxed);
        let outcomes = &self.books.cohorts[self.cohort.index()].outcomes;
        *lock(outcomes).entry(outcome.label()).or_default() += 1;
    }
}

impl Drop for RequestEntry {
    fn drop(&mut self) {
        self.close(Outcome::Unserved);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let mut ttft = Ttft::default();
        for millis in [10, 11, 121_000] {
            ttft.observe(Duration::from_millis(millis));
        }
        assert_eq!((ttft.count, ttft.sum), (3, Duration::from_millis(121_021)));
        assert_eq!(ttft.buckets[0], 1, "the bound belongs to its bucket");
        assert_eq!((ttft.buckets[1], ttft.buckets[TTFT_BOUNDS.len()]), (1, 1));
    }

    #[test]
    fn a_fallback_moves_what_is_in_flight_and_not_the_cohort() {
        use StreamMethod::{Async, Blocking};
        let books = Arc::new(CohortBooks::default());
        let mut entry = RequestEntry::open(Arc::clone(&books), Async);
        assert_eq!((books.in_flight(Async), books.in_flight(Blocking)), (1, 0));
        entry.fall_back("upstream_unreachable");
        assert_eq!((books.in_flight(Async), books.in_flight(Blocking)), (0, 1));
        entry.close(Outcome::Complete);
        drop(entry);
        assert_eq!((books.in_flight(Async), books.in_flight(Blocking)), (0, 0));
        let cohort = books.cohort(Async);
        assert_eq!((cohort.requests, cohort.outcomes["complete"]), (1, 1));
        assert_eq!(cohort.outcomes["unserved"], 0, "closed once");
        assert_eq!(books.cohort(Blocking).requests, 0);
        assert_eq!(books.fallbacks()["upstream_unreachable"], 1);
    }
}
