//! Detects thread and event-loop exhaustion from inside an axum app.
//!
//! A service whose blocking pool is full looks idle: it uses no CPU, and the event loop answers. But
//! every request that needs a blocking thread waits behind all that were queued before it. This crate
//! makes that visible in four lines:
//!
//! ```
//! use axum::{Router, routing::get};
//!
//! async fn report() -> String {
//!     let rows = vitals::spawn_blocking(|| "a slow, blocking query"); // 4: instead of Tokio's own
//!     rows.await.map_or("the query panicked".into(), String::from)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let vitals = vitals::Vitals::watch(512); // 1: what the runtime was built with
//! let gauges = std::net::TcpListener::bind("127.0.0.1:0")?;
//! let _watchdog = vitals.watchdog(gauges, Router::new())?; // 2: answers while the loop is blocked
//! let app: Router = Router::new()
//!     .route("/report", get(report))
//!     .merge(vitals.routes()); // 3: /health, /livez, /readyz, /debug/health-sync and -async
//! # let _ = app;
//! # Ok(())
//! # }
//! ```
//!
//! The fourth line is not possible in a library that calls Tokio's `spawn_blocking` itself. Its jobs are
//! not counted, but the canary's wait shows them ([`PoolSnapshot::uncounted`]).
//!
//! - [`spawn_blocking`] and [`BlockingPool`] count what runs on the blocking pool, what is queued, and
//!   since when.
//! - [`Canary`] sends one trivial job at a time through that queue and reports its wait.
//! - [`LoopLag`] shows a loop that wakes its tasks late, or not at all.
//! - [`Watchdog`] serves gauges from an OS thread and a port of its own.
//! - [`Exhaustion`] decides when to say so in the log.
//! - [`Bulkhead`] keeps one kind of blocking work from starving the rest, and refuses what its queue
//!   cannot take.
//! - [`Readiness`] tells a load balancer of a saturation that lasts.
//!
//! Types of [`axum`] 0.8, [`tokio`] 1 and [`prometheus_client`] 0.25 are part of the API, because they
//! stand in signatures. A new major version of one of them is a new major version of this crate.
//! `prometheus_client` is exported again, so that an app's registry is of the right version.

mod bulkhead;
mod bulkhead_error;
mod bulkhead_metrics;
mod bulkhead_snapshot;
mod canary;
mod crew;
mod error_response;
mod exhaustion;
mod exhaustion_log;
mod job_queue;
mod ledger;
mod loop_lag;
mod metrics;
mod metrics_page;
mod micros;
mod panic_message;
mod pool;
mod pool_snapshot;
mod readiness;
mod routes;
mod spawn_blocking;
mod vitals;
mod watchdog;

pub use bulkhead::Bulkhead;
pub use bulkhead_error::{BulkheadError, BulkheadFull};
pub use bulkhead_metrics::register_bulkheads;
pub use bulkhead_snapshot::BulkheadSnapshot;
pub use canary::{CANARY_EVERY, CANARY_TIMEOUT, Canary, CanaryReport, Health};
pub use exhaustion::{Exhaustion, Transition};
pub use loop_lag::{LAG_INTERVAL, LoopLag, LoopLagSnapshot};
pub use metrics::metrics_routes;
pub use pool::{BlockingPool, PoolError};
pub use pool_snapshot::{DEGRADED_ABOVE, PoolSnapshot};
pub use prometheus_client;
pub use readiness::{READINESS_HOLD, Readiness, ReadinessSnapshot, ReadinessWatch};
pub use routes::{DebugHealth, HealthReport};
pub use spawn_blocking::spawn_blocking;
pub use vitals::{Vitals, VitalsSnapshot};
pub use watchdog::Watchdog;
