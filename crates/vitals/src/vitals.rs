//! Everything an app needs to be watched, in one handle.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use crate::canary::{CANARY_TIMEOUT, Canary, CanaryReport};
use crate::loop_lag::{LAG_INTERVAL, LoopLag, LoopLagSnapshot};
use crate::pool::BlockingPool;
use crate::pool_snapshot::PoolSnapshot;
use crate::readiness::ReadinessWatch;

/// A watched runtime, or several: the blocking pool, its canary and the lag of each loop. Clones
/// share everything.
#[derive(Clone, Debug)]
pub struct Vitals {
    pub(crate) pool: BlockingPool,
    pub(crate) canary: Canary,
    /// The watch behind `GET /readyz`, after its first use.
    pub(crate) readyz: Arc<OnceLock<ReadinessWatch>>,
    runtimes: Vec<WatchedRuntime>,
}

#[derive(Clone, Debug)]
struct WatchedRuntime {
    runtime: Handle,
    loop_lag: LoopLag,
}

/// All gauges at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VitalsSnapshot {
    /// The blocking pool.
    pub pool: PoolSnapshot,
    /// The report of the canary that is late, otherwise of the last one; `None` before the first.
    #[serde(default)]
    pub canary: Option<CanaryReport>,
    /// The lateness of the event loop; of several loops, the [worst figures](LoopLagSnapshot::worst).
    pub event_loop: LoopLagSnapshot,
    /// Tasks that were spawned and have not ended, on all runtimes together.
    pub tasks_alive: usize,
    /// Threads that run tasks, of all runtimes together.
    pub workers: usize,
}

impl Vitals {
    /// Watches the current runtime and its blocking pool of `capacity` threads. From then on,
    /// [`spawn_blocking`](crate::spawn_blocking) counts the jobs that it runs on this runtime.
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
            runtimes: vec![WatchedRuntime::current()],
            pool,
        }
    }

    /// Watches `runtime` as well, for an app that runs on several runtimes. The pool stays that of the
    /// first.
    ///
    /// # Panics
    /// If `runtime` has its timer disabled.
    #[must_use]
    pub fn with_runtime(mut self, runtime: &Handle) -> Self {
        let _inside = runtime.enter();
        self.runtimes.push(WatchedRuntime::current());
        self
    }

    /// Gives a canary up after `timeout`.
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
}

impl WatchedRuntime {
    fn current() -> Self {
        Self {
            runtime: Handle::current(),
            loop_lag: LoopLag::spawn(LAG_INTERVAL),
        }
    }
}
