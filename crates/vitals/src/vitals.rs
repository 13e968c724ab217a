//! Everything an app needs to be watched, in one handle.

use std::io;
use std::net::TcpListener;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use crate::canary::{CANARY_TIMEOUT, Canary, CanaryReport};
use crate::exhaustion;
use crate::loop_lag::{LAG_INTERVAL, LoopLag, LoopLagSnapshot};
use crate::pool::{BlockingPool, PoolSnapshot};
use crate::readiness::ReadinessWatch;
use crate::routes;
use crate::watchdog::Watchdog;

/// A watched runtime, or several: the blocking pool, its canary and the lag of each loop. Clones
/// share everything.
#[derive(Clone, Debug)]
pub struct Vitals {
    pub(crate) pool: BlockingPool,
    pub(crate) canary: Canary,
    /// That of `GET /readyz`, once somebody wants it.
    pub(crate) readyz: Arc<OnceLock<ReadinessWatch>>,
    runtimes: Vec<Watched>,
}

#[derive(Clone, Debug)]
struct Watched {
    runtime: Handle,
    loop_lag: LoopLag,
}

/// All gauges at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VitalsSnapshot {
    /// The blocking pool.
    pub pool: PoolSnapshot,
    /// How the canary does that waits, or how the last one did; `None` before the first.
    #[serde(default)]
    pub canary: Option<CanaryReport>,
    /// The lateness of the event loop; of several, the [worst of all](LoopLagSnapshot::worst).
    pub event_loop: LoopLagSnapshot,
    /// Tasks that were spawned and have not ended, on all runtimes together.
    pub tasks_alive: usize,
    /// Threads that run tasks, of all runtimes together.
    pub workers: usize,
}

impl Vitals {
    /// Watches the current runtime and its blocking pool of `capacity` threads, and has
    /// [`spawn_blocking`](crate::spawn_blocking) count what it runs on this runtime.
    ///
    /// `capacity` is what the runtime was built with (`max_blocking_threads`, 512 unless set);
    /// Tokio cannot be asked for it.
    ///
    /// # Panics
    /// If called outside a runtime, or within one that has its timer disabled.
    #[track_caller]
    pub fn watch(capacity: usize) -> Self {
        Self::new(BlockingPool::of_this_runtime(capacity))
    }

    /// Watches `pool` and the current runtime, with a canary of [`CANARY_TIMEOUT`].
    ///
    /// # Panics
    /// If called outside a runtime, or within one that has its timer disabled.
    pub fn new(pool: BlockingPool) -> Self {
        Self {
            canary: Canary::new(pool.clone(), CANARY_TIMEOUT),
            readyz: Arc::default(),
            runtimes: vec![Watched::current()],
            pool,
        }
    }

    /// The same, with `runtime` watched beside those that are already: an app that runs on several.
    /// The pool stays that of the first.
    ///
    /// # Panics
    /// If `runtime` has its timer disabled.
    #[must_use]
    pub fn with_runtime(mut self, runtime: &Handle) -> Self {
        let _inside = runtime.enter();
        self.runtimes.push(Watched::current());
        self
    }

    /// The same, with a canary that is given up on after `timeout`.
    #[must_use]
    pub fn with_canary_timeout(mut self, timeout: Duration) -> Self {
        self.canary = Canary::new(self.pool.clone(), timeout);
        self
    }

    /// The watched pool, to run blocking work on.
    pub fn pool(&self) -> &BlockingPool {
        &self.pool
    }

    /// The canary behind `GET /health`.
    pub fn canary(&self) -> &Canary {
        &self.canary
    }

    /// All gauges now; may be called from any thread, on or off the runtime.
    pub fn snapshot(&self) -> VitalsSnapshot {
        let metrics = || {
            self.runtimes
                .iter()
                .map(|watched| watched.runtime.metrics())
        };
        let loops = self
            .runtimes
            .iter()
            .map(|watched| watched.loop_lag.snapshot());
        VitalsSnapshot {
            pool: self.pool.snapshot(),
            canary: self.canary.last(),
            event_loop: loops.reduce(LoopLagSnapshot::worst).unwrap_or_default(),
            tasks_alive: metrics().map(|metrics| metrics.num_alive_tasks()).sum(),
            workers: metrics().map(|metrics| metrics.num_workers()).sum(),
        }
    }

    /// Serves `GET /vitals` (the snapshot as JSON) and `router` from an OS thread of their own, sends
    /// a canary from there every second ([`CANARY_EVERY`](crate::CANARY_EVERY)), and logs one line
    /// when exhaustion begins and one when it ends.
    ///
    /// # Errors
    /// As [`Watchdog::spawn`].
    ///
    /// # Panics
    /// If `router` has a route `GET /vitals` of its own.
    pub fn watchdog(&self, listener: TcpListener, router: Router) -> io::Result<Watchdog> {
        let router = router.merge(routes::snapshot_routes(self));
        let (pool, canary) = (self.pool.clone(), self.canary.clone());
        Watchdog::spawn_beside(listener, router, move || {
            exhaustion::watch(pool.clone(), canary.clone())
        })
    }
}

impl Watched {
    fn current() -> Self {
        Self {
            runtime: Handle::current(),
            loop_lag: LoopLag::spawn(LAG_INTERVAL),
        }
    }
}
