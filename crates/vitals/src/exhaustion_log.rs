//! What the watchdog's thread does beside serving gauges: it sends canaries, and logs one line when the
//! pool's exhaustion begins and one when it ends.

use std::io;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use axum::Router;

use crate::canary::{CANARY_EVERY, Canary};
use crate::exhaustion::{Exhaustion, Transition};
use crate::pool::BlockingPool;
use crate::routes::snapshot_routes;
use crate::vitals::Vitals;
use crate::watchdog::Watchdog;

/// How often the pool is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Vitals {
    /// Serves `GET /vitals` (the snapshot as JSON) and `router` from an OS thread of their own. The thread
    /// also sends a canary every second ([`CANARY_EVERY`]), and logs one line when exhaustion begins and
    /// one when it ends.
    ///
    /// # Errors
    /// As [`Watchdog::spawn`].
    ///
    /// # Panics
    /// If `router` has a route `GET /vitals` of its own.
    pub fn watchdog(&self, listener: TcpListener, router: Router) -> io::Result<Watchdog> {
        let router = router.merge(snapshot_routes(self));
        let (pool, canary) = (self.pool.clone(), self.canary.clone());
        Watchdog::spawn_beside(listener, router, move || {
            watch(pool.clone(), canary.clone())
        })
    }
}

/// Watches the pool and logs. Sends a canary every second, so that there always is a job that could wait:
/// uncounted work shows only by the wait of a counted job.
async fn watch(pool: BlockingPool, canary: Canary) {
    tokio::join!(log_transitions(pool), send_canaries(canary));
}

async fn send_canaries(canary: Canary) {
    loop {
        tokio::time::sleep(CANARY_EVERY).await;
        canary.check().await;
    }
}

async fn log_transitions(pool: BlockingPool) {
    let mut exhaustion = Exhaustion::default();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Some(transition) = exhaustion.observe(&pool.snapshot(), Instant::now()) {
            log(transition);
        }
    }
}

fn log(transition: Transition) {
    match transition {
        Transition::Began {
            busy,
            capacity,
            uncounted,
            queued,
            oldest_wait,
        } => tracing::warn!(
            busy,
            capacity,
            queued,
            uncounted,
            oldest_wait_ms = millis(oldest_wait),
            "blocking pool exhausted"
        ),
        Transition::Ended {
            lasted,
            busy,
            capacity,
            queued_peak,
            oldest_wait_peak,
        } => {
            tracing::info!(
                busy,
                capacity,
                queued_peak,
                oldest_wait_peak_ms = millis(oldest_wait_peak),
                lasted_ms = millis(lasted),
                "blocking pool no longer exhausted"
            );
        }
    }
}

fn millis(value: Duration) -> u64 {
    u64::try_from(value.as_millis()).unwrap_or(u64::MAX)
}
