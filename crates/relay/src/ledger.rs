//! Which exchanges are open, and how each ended. Each is counted exactly once.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;
use tokio::time::Instant;

use crate::ending::{Ending, StreamFigures};
use crate::fallback::GivenUp;

type OnEnd = Arc<dyn Fn(Ending, StreamFigures) + Send + Sync>;

pub(crate) struct ExchangeLedger {
    awaiting_head: AtomicUsize,
    streams_open: AtomicUsize,
    fallbacks: Mutex<BTreeMap<&'static str, u64>>,
    endings: Mutex<BTreeMap<&'static str, u64>>,
    durations: Histogram,
    first_bytes: Histogram,
    on_end: RwLock<Option<OnEnd>>,
}

/// Upper bounds of the buckets of durations in seconds, up to the default total timeout.
const DURATIONS: [f64; 13] = [
    0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
];

/// Upper bounds of the buckets of times to the first byte in seconds, up to the default idle timeout.
const FIRST_BYTES: [f64; 13] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

impl ExchangeLedger {
    pub(crate) fn new() -> Self {
        Self {
            awaiting_head: AtomicUsize::new(0),
            streams_open: AtomicUsize::new(0),
            fallbacks: Mutex::new(GivenUp::LABELS.map(|label| (label, 0)).into()),
            endings: Mutex::new(Ending::LABELS.map(|label| (label, 0)).into()),
            durations: Histogram::new(DURATIONS),
            first_bytes: Histogram::new(FIRST_BYTES),
            on_end: RwLock::new(None),
        }
    }

    pub(crate) fn set_on_end(&self, on_end: OnEnd) {
        *self.on_end.write().unwrap_or_else(PoisonError::into_inner) = Some(on_end);
    }

    pub(crate) fn awaiting_head(&self) -> usize {
        self.awaiting_head.load(Ordering::Relaxed)
    }

    pub(crate) fn streams_open(&self) -> usize {
        self.streams_open.load(Ordering::Relaxed)
    }

    pub(crate) fn fallbacks(&self) -> BTreeMap<&'static str, u64> {
        counts(&self.fallbacks).clone()
    }

    pub(crate) fn endings(&self) -> BTreeMap<&'static str, u64> {
        counts(&self.endings).clone()
    }

    /// How long exchanges took that have ended, in seconds.
    pub(crate) fn durations(&self) -> &Histogram {
        &self.durations
    }

    /// How long the first bytes of bodies took, in seconds.
    pub(crate) fn first_bytes(&self) -> &Histogram {
        &self.first_bytes
    }

    /// An upstream was given up. The exchange goes on with the next one.
    pub(crate) fn fell_back(&self, why: &GivenUp) {
        *counts(&self.fallbacks).entry(why.label()).or_default() += 1;
    }

    fn record(&self, ending: Ending, figures: StreamFigures) {
        *counts(&self.endings).entry(ending.label()).or_default() += 1;
        self.durations.observe(figures.duration.as_secs_f64());
        tracing::debug!(?ending, figures.bytes, figures.chunks, ?figures.duration, "relay ended");
    }

    /// Calls the app. A panic of the app is caught: this runs in destructors, where a second panic would
    /// end the process.
    fn tell(&self, ending: Ending, figures: StreamFigures) {
        let on_end = self
            .on_end
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(on_end) = on_end else {
            return;
        };
        if catch_unwind(AssertUnwindSafe(|| on_end(ending, figures))).is_err() {
            tracing::error!(?ending, "the callback of `Relay::on_end` panicked");
        }
    }
}

/// An exchange that has ended and is counted. The app is told of it later, when nothing is locked and
/// everything is let go.
#[must_use = "the app is to be told"]
pub(crate) struct EndedExchange {
    ledger: Arc<ExchangeLedger>,
    ending: Ending,
    figures: StreamFigures,
}

impl EndedExchange {
    pub(crate) fn tell(self) {
        self.ledger.tell(self.ending, self.figures);
    }
}

fn counts<'a>(
    of: &'a Mutex<BTreeMap<&'static str, u64>>,
) -> MutexGuard<'a, BTreeMap<&'static str, u64>> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for ExchangeLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExchangeLedger")
            .field("awaiting_head", &self.awaiting_head)
            .field("streams_open", &self.streams_open)
            .field("fallbacks", &self.fallbacks)
            .field("endings", &self.endings)
            .finish_non_exhaustive()
    }
}

/// One request that waits for the upstream's head. If it is dropped before that, its client is gone.
pub(crate) struct AwaitingHead {
    ledger: Arc<ExchangeLedger>,
    since: Instant,
    settled: bool,
}

impl AwaitingHead {
    pub(crate) fn enter(ledger: Arc<ExchangeLedger>) -> Self {
        ledger.awaiting_head.fetch_add(1, Ordering::Relaxed);
        Self {
            ledger,
            since: Instant::now(),
            settled: false,
        }
    }

    /// The head is there; the exchange goes on.
    pub(crate) fn arrived(mut self) {
        self.settled = true;
        self.ledger.awaiting_head.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn failed(mut self, ending: Ending) {
        self.settle(ending);
    }

    fn settle(&mut self, ending: Ending) {
        self.settled = true;
        let figures = StreamFigures {
            duration: self.since.elapsed(),
            ..StreamFigures::default()
        };
        self.ledger.awaiting_head.fetch_sub(1, Ordering::Relaxed);
        self.ledger.record(ending, figures);
        self.ledger.tell(ending, figures);
    }
}

impl Drop for AwaitingHead {
    fn drop(&mut self) {
        if !self.settled {
            self.settle(Ending::ClientGone);
        }
    }
}

/// One open stream. Its owner ends it with [`end`](Self::end), at the latest in its own drop. It tells
/// the app after it has let go of everything.
pub(crate) struct OpenStream {
    ledger: Arc<ExchangeLedger>,
    since: Instant,
    pub(crate) bytes: u64,
    pub(crate) chunks: u64,
    first_byte: Option<Duration>,
}

impl OpenStream {
    pub(crate) fn enter(ledger: Arc<ExchangeLedger>, since: Instant) -> Self {
        ledger.streams_open.fetch_add(1, Ordering::Relaxed);
        Self {
            ledger,
            since,
            bytes: 0,
            chunks: 0,
            first_byte: None,
        }
    }

    pub(crate) fn relayed(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        self.chunks += 1;
        if self.first_byte.is_none() {
            let took = self.since.elapsed();
            self.ledger.first_bytes.observe(took.as_secs_f64());
            self.first_byte = Some(took);
        }
    }

    pub(crate) fn end(self, ending: Ending) -> EndedExchange {
        let figures = StreamFigures {
            bytes: self.bytes,
            chunks: self.chunks,
            first_byte: self.first_byte,
            duration: self.since.elapsed(),
        };
        self.ledger.streams_open.fetch_sub(1, Ordering::Relaxed);
        self.ledger.record(ending, figures);
        EndedExchange {
            ledger: self.ledger,
            ending,
            figures,
        }
    }
}
