//! The predictions of `liveness`: their counts, the queries and answers of their routes, and their own
//! pool with its gauge.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use service::Services;
use vitals::{Bulkhead, ReadinessSnapshot, ReadinessWatch};

use crate::QueryTime;
use crate::micros::micros;

/// The query of `POST /predict` and `GET /readyz`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct PredictQuery {
    /// How long the prediction takes; 1 s unless given.
    #[serde(default = "PredictQuery::work")]
    pub work: QueryTime,
}

impl PredictQuery {
    fn work() -> QueryTime {
        QueryTime::from_millis(1000)
    }
}

/// The query of `GET /livez`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct LivezQuery {
    /// How long predictions may make no progress; 10 s unless given.
    #[serde(default = "LivezQuery::recent")]
    pub recent: QueryTime,
}

impl LivezQuery {
    fn recent() -> QueryTime {
        QueryTime::from_millis(10_000)
    }
}

/// A pool of `threads` threads for predictions alone, and its gauge. Its queue has `queue` places, or no
/// bound.
pub fn pool_of_its_own(services: &mut Services, threads: usize, queue: Option<usize>) -> Bulkhead {
    let pool = Bulkhead::new("predictions", threads, queue);
    let gauge = pool.clone();
    services.gauge("bulkhead", move || gauge.snapshot());
    pool
}

/// Whether `pool` has been backed up for as long as the flags say, and the gauge of that.
pub fn readiness(services: &mut Services, pool: &Bulkhead) -> ReadinessWatch {
    let pool = pool.clone();
    let hold = services.args.bulkheads.readiness_hold;
    let readiness = ReadinessWatch::spawn(hold, move || pool.snapshot().is_backed_up());
    let gauge = readiness.clone();
    services.gauge("readiness", move || gauge.snapshot());
    readiness
}

/// The counts of all predictions. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Predictions {
    progress: Arc<Mutex<Progress>>,
}

/// A prediction, as its client sees it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Prediction {
    /// Time from the handler's asking for it until it ran, in microseconds.
    pub wait_us: u64,
    /// How long it ran, in microseconds.
    pub work_us: u64,
}

/// What `GET /livez` answers: 200 when alive, 500 when not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Liveness {
    /// Whether a prediction finished recently, or none is pending.
    pub alive: bool,
    /// Predictions that were asked for and have not finished.
    pub pending: usize,
    /// Microseconds since a prediction last finished, or since the first pending one was asked for.
    /// Null if none was ever asked for.
    pub progress_us: Option<u64>,
}

impl Predictions {
    /// A new prediction. It is pending until it has run or is dropped.
    #[must_use]
    pub fn begin(&self) -> PendingPrediction {
        let begun = Instant::now();
        self.lock().begin(begun);
        PendingPrediction {
            of: self.clone(),
            begun,
        }
    }

    /// A prediction that takes `work`, as a job for a pool. It is pending from now on.
    pub fn job(&self, work: QueryTime) -> impl FnOnce() -> Prediction + Send + 'static {
        let pending = self.begin();
        move || pending.run(work.blocking_work())
    }

    /// Whether predictions make progress. A server without pending predictions is alive, so a server that
    /// has just started is.
    #[must_use]
    pub fn liveness(&self, recent: Duration) -> Liveness {
        self.lock().liveness(recent, Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A prediction that has not run.
#[derive(Debug)]
pub struct PendingPrediction {
    of: Predictions,
    begun: Instant,
}

impl PendingPrediction {
    /// Runs it here and now.
    pub fn run(self, work: impl FnOnce()) -> Prediction {
        let started = Instant::now();
        work();
        let finished = Instant::now();
        self.of.lock().progress(finished);
        Prediction {
            wait_us: micros(started - self.begun),
            work_us: micros(finished - started),
        }
    }
}

impl Drop for PendingPrediction {
    fn drop(&mut self) {
        self.of.lock().pending -= 1;
    }
}

impl IntoResponse for Liveness {
    fn into_response(self) -> Response {
        let status = match self.alive {
            true => StatusCode::OK,
            false => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(self)).into_response()
    }
}

/// The answer of a `GET /readyz` that makes no prediction: 200 when ready, 503 when not.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Readyz(pub ReadinessSnapshot);

impl IntoResponse for Readyz {
    fn into_response(self) -> Response {
        let status = match self.0.ready {
            true => StatusCode::OK,
            false => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, Json(self)).into_response()
    }
}

/// The arithmetic. It gets the time as an argument.
#[derive(Debug, Default)]
struct Progress {
    pending: usize,
    last: Option<Instant>,
}

impl Progress {
    fn begin(&mut self, now: Instant) {
        if self.pending == 0 {
            // A server that was idle for long has not been stuck for that long.
            self.progress(now);
        }
        self.pending += 1;
    }

    fn progress(&mut self, now: Instant) {
        self.last = self.last.max(Some(now));
    }

    fn liveness(&self, recent: Duration, now: Instant) -> Liveness {
        let since = self.last.map(|last| now.saturating_duration_since(last));
        Liveness {
            alive: self.pending == 0 || since.is_some_and(|since| since <= recent),
            pending: self.pending,
            progress_us: since.map(micros),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECENT: Duration = Duration::from_secs(10);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_idle_server_is_alive_however_long_it_has_been_idle() {
        let t0 = Instant::now();
        let mut progress = Progress::default();
        assert!(progress.liveness(RECENT, t0 + 100 * RECENT).alive);
        progress.begin(t0);
        progress.pending -= 1;
        assert!(progress.liveness(RECENT, t0 + 100 * RECENT).alive);
    }

    #[test]
    fn it_is_dead_when_what_is_pending_made_no_progress_for_a_while() {
        let t0 = Instant::now();
        let mut progress = Progress::default();
        progress.begin(t0);
        progress.begin(t0 + 5 * SECOND);
        assert!(progress.liveness(RECENT, t0 + RECENT).alive);
        assert!(!progress.liveness(RECENT, t0 + 11 * SECOND).alive);
        progress.progress(t0 + 12 * SECOND);
        progress.pending -= 1;
        let liveness = progress.liveness(RECENT, t0 + 15 * SECOND);
        assert_eq!((liveness.alive, liveness.pending), (true, 1));
        assert_eq!(liveness.progress_us, Some(3_000_000));
    }

    #[test]
    fn the_first_prediction_after_a_long_pause_has_its_time() {
        let t0 = Instant::now();
        let mut progress = Progress::default();
        progress.progress(t0);
        progress.begin(t0 + 100 * RECENT);
        assert!(progress.liveness(RECENT, t0 + 100 * RECENT + SECOND).alive);
    }

    #[test]
    fn a_prediction_that_is_dropped_unrun_is_not_pending_for_ever() {
        let predictions = Predictions::default();
        let job = predictions.job(QueryTime::from_millis(1));
        assert_eq!(predictions.liveness(RECENT).pending, 1);
        drop(job);
        assert_eq!(predictions.liveness(RECENT).pending, 0);
    }
}
