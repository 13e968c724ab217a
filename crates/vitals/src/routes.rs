//! The health routes, to be merged into any router.

use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use crate::canary::{CanaryReport, Health};
use crate::micros;
use crate::pool::PoolError;
use crate::pool_snapshot::{DEGRADED_ABOVE, PoolSnapshot};
use crate::readiness::{READINESS_HOLD, ReadinessWatch};
use crate::vitals::Vitals;

/// The body of `GET /health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HealthReport {
    /// The verdict.
    pub status: Health,
    /// How long the canary was queued, or has been so far.
    #[serde(rename = "wait_us", with = "micros")]
    pub wait: Duration,
    /// What is wrong, in a sentence; absent when healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// The pool as it was when the canary reported.
    pub pool: PoolSnapshot,
}

/// The body of the two `/debug/health-…` routes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DebugHealth {
    /// Always `ok`: these routes measure by how long they take.
    pub status: String,
    /// How long the check was queued for a blocking thread; zero on the loop.
    #[serde(rename = "wait_us", with = "micros")]
    pub wait: Duration,
}

impl Vitals {
    /// All routes for health: [`health_routes`](Self::health_routes), and the two that an
    /// orchestrator should ask:
    ///
    /// | route | what it does |
    /// |---|---|
    /// | `GET /livez` | answers on the loop: saturation is no reason to be killed |
    /// | `GET /readyz` | 503 after jobs have waited longer than [`DEGRADED_ABOVE`] for a thread for a whole [`READINESS_HOLD`]; 200 again after as long without such a wait |
    ///
    /// A busy pool whose jobs wait for a short time only is ready. `/health` calls the same wait degraded.
    ///
    /// # Panics
    /// If called outside a runtime, or within one that has its timer disabled.
    pub fn routes<S>(&self) -> Router<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        self.health_routes()
            .merge(self.readyz_watch().routes())
            .route("/livez", get(|| async { "ok\n" }))
    }

    /// The watch behind `GET /readyz` of [`routes`](Self::routes), for its metrics or for a route of your
    /// own. Clones share it. The first call of this or of `routes` starts it on the current runtime.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use axum::Router;
    /// use vitals::prometheus_client::registry::Registry;
    /// use vitals::{Vitals, metrics_routes};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let vitals = Vitals::watch(512);
    /// let mut registry = Registry::default();
    /// vitals.register(&mut registry);
    /// vitals.readyz_watch().register(&mut registry); // readiness_ready, as /readyz has it
    /// let app: Router = vitals.routes().merge(metrics_routes(Arc::new(registry)));
    /// # let _ = app;
    /// # }
    /// ```
    ///
    /// # Panics
    /// If called outside a runtime, or within one that has its timer disabled.
    pub fn readyz_watch(&self) -> ReadinessWatch {
        let started = || self.readiness(READINESS_HOLD);
        self.readyz.get_or_init(started).clone()
    }

    /// A further watch, beside that of [`routes`](Self::routes). It is not ready after the pool was backed
    /// up for `hold`.
    ///
    /// # Panics
    /// If called outside a runtime, or within one that has its timer disabled.
    pub fn readiness(&self, hold: Duration) -> ReadinessWatch {
        let pool = self.pool.clone();
        ReadinessWatch::spawn(hold, move || pool.snapshot().is_backed_up())
    }

    /// The routes that tell how the pool and the loop are, for an app with probes of its own:
    ///
    /// | route | what it does |
    /// |---|---|
    /// | `GET /debug/health-sync` | runs a trivial job in the pool, as a synchronous route would; waits without a limit |
    /// | `GET /debug/health-async` | answers on the loop |
    /// | `GET /health` | the canary: 200 for healthy and degraded, 503 for unhealthy, in bounded time |
    pub fn health_routes<S>(&self) -> Router<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        let (sync, canary) = (self.clone(), self.clone());
        Router::new()
            .route("/debug/health-sync", get(move || health_sync(sync.clone())))
            .route("/debug/health-async", get(|| async { ok(Duration::ZERO) }))
            .route("/health", get(move || health(canary.clone())))
    }
}

/// `GET /vitals`: all gauges as JSON.
pub(crate) fn snapshot_routes<S>(vitals: &Vitals) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let vitals = vitals.clone();
    Router::new().route(
        "/vitals",
        get(move || async move { Json(vitals.snapshot()) }),
    )
}

async fn health_sync(vitals: Vitals) -> Result<Json<DebugHealth>, PoolError> {
    let wait = vitals.pool.spawn_timed(|wait| wait).await?;
    Ok(ok(wait))
}

fn ok(wait: Duration) -> Json<DebugHealth> {
    Json(DebugHealth {
        status: "ok".to_owned(),
        wait,
    })
}

async fn health(vitals: Vitals) -> (StatusCode, Json<HealthReport>) {
    let canary = vitals.canary.check().await;
    let report = report(canary, vitals.pool.snapshot());
    (status_code(report.status), Json(report))
}

fn status_code(health: Health) -> StatusCode {
    match health {
        Health::Healthy | Health::Degraded => StatusCode::OK,
        Health::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn report(canary: CanaryReport, pool: PoolSnapshot) -> HealthReport {
    let wait = canary.wait.as_millis();
    let mut figures = format!(
        "{} of {} threads busy, {} queued",
        pool.busy, pool.capacity, pool.queued
    );
    let uncounted = pool.uncounted();
    if canary.status != Health::Healthy && uncounted > 0 {
        figures += &format!(", {uncounted} taken by work that is not counted");
    }
    let warning = match canary.status {
        Health::Healthy => None,
        Health::Degraded => Some(format!(
            "a blocking job waited {wait} ms for a thread (above {} ms): {figures}",
            DEGRADED_ABOVE.as_millis()
        )),
        Health::Unhealthy => Some(format!(
            "a blocking job has waited {wait} ms and found no thread: {figures}"
        )),
    };
    HealthReport {
        status: canary.status,
        wait: canary.wait,
        warning,
        pool,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report_of(status: Health) -> HealthReport {
        let wait = Duration::from_millis(250);
        let pool = PoolSnapshot {
            capacity: 4,
            busy: 4,
            queued: 7,
            ..PoolSnapshot::default()
        };
        report(CanaryReport { status, wait }, pool)
    }

    #[test]
    fn only_what_is_not_healthy_carries_a_warning() {
        let json = serde_json::to_value(report_of(Health::Healthy)).unwrap();
        assert_eq!(json.get("warning"), None);
        assert_eq!(json["pool"]["queued"], 7);

        let json = serde_json::to_value(report_of(Health::Degraded)).unwrap();
        let warning = json["warning"].as_str().unwrap();
        assert!(
            warning.contains("250 ms") && warning.contains("4 of 4 threads"),
            "{warning}"
        );
        assert_eq!(json["status"], "degraded");
    }

    #[test]
    fn only_unhealthy_is_not_200() {
        assert_eq!(status_code(Health::Degraded), StatusCode::OK);
        assert_eq!(
            status_code(Health::Unhealthy),
            StatusCode::SERVICE_UNAVAILABLE
        );
    }
}
