//! Detects thread and event-loop exhaustion from inside an axum app.
//!
//! A service whose blocking pool is full looks idle: no CPU is used, the event loop answers, and
//! every request that needs a blocking thread waits behind all that were queued before it. This
//! crate makes that visible in four lines:
//!
//! ```
//! use axum::{Router, routing::get};
//! use vitals::{BlockingPool, Vitals};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let pool = BlockingPool::new(512);                                  // what the runtime was built with
//! let vitals = Vitals::new(pool.clone());
//! let gauges = std::net::TcpListener::bind("127.0.0.1:0")?;
//! let _watchdog = vitals.watchdog(gauges, Router::new())?;            // answers while the loop is blocked
//!
//! let app: Router = Router::new()
//!     .route("/report", get(move || async move {
//!         let rows = pool.run(|| "a slow, blocking query").await;     // instead of spawn_blocking
//!         rows.unwrap_or("the query panicked")
//!     }))
//!     .merge(vitals.routes());                                        // /health, /livez, /debug/…
//! # let _ = app;
//! # Ok(())
//! # }
//! ```
//!
//! - [`BlockingPool`] counts what runs on `spawn_blocking`, what is queued, and since when.
//! - [`Canary`] sends one trivial job at a time through that queue and reports its wait.
//! - [`LoopLag`] shows a loop that wakes late, or not at all.
//! - [`Watchdog`] serves gauges from an OS thread and a port of its own.
//! - [`Exhaustion`] decides when to say so in the log.
//! - [`Bulkhead`] keeps one kind of blocking work from starving the rest, and refuses what is too much.
//! - [`Readiness`] tells a load balancer of a saturation that lasts.

mod bulkhead;
mod canary;
mod crew;
mod error_response;
mod exhaustion;
mod job_queue;
mod ledger;
mod loop_lag;
mod metrics;
mod micros;
mod panic_message;
mod pool;
mod readiness;
mod routes;
mod vitals;
mod watchdog;

pub use bulkhead::{Bulkhead, BulkheadError, BulkheadFull, BulkheadSnapshot};
pub use canary::{CANARY_TIMEOUT, Canary, CanaryReport, DEGRADED_ABOVE, Health};
pub use exhaustion::{Exhaustion, Transition};
pub use loop_lag::{LAG_INTERVAL, LoopLag, LoopLagSnapshot};
pub use metrics::metrics_routes;
pub use pool::{BlockingPool, PoolError, PoolSnapshot};
pub use readiness::{READINESS_HOLD, Readiness, ReadinessSnapshot, ReadinessWatch};
pub use routes::{DebugHealth, HealthReport};
pub use vitals::{Vitals, VitalsSnapshot};
pub use watchdog::Watchdog;
