//! The gauges for Prometheus. They are read when they are scraped, so there is no second copy of any state.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;

use crate::metrics_page::{MetricsPage, single};
use crate::vitals::Vitals;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `GET /metrics` for everything in `registry`, in the OpenMetrics text format.
pub fn metrics_routes<S>(registry: Arc<Registry>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    Router::new().route("/metrics", get(move || async move { scrape(&registry) }))
}

fn scrape(registry: &Registry) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, registry) {
        Ok(()) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

impl Vitals {
    /// Adds these metrics to `registry`; they are read at each scrape.
    ///
    /// Gauges `blocking_pool_threads{state="busy"|"idle"}`, `blocking_pool_capacity`,
    /// `blocking_pool_queue_depth`, `blocking_pool_oldest_wait_seconds`,
    /// `blocking_pool_uncounted_threads`, `blocking_pool_canary_wait_seconds` (after the first canary),
    /// `event_loop_lag_seconds`, `event_loop_lag_max_seconds`, `event_loop_overdue_seconds`,
    /// `tokio_alive_tasks`, `tokio_workers`; counters `blocking_pool_jobs_completed_total` and
    /// `blocking_pool_busy_seconds_total`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(VitalsCollector(self.clone())));
    }
}

#[derive(Debug)]
struct VitalsCollector(Vitals);

impl Collector for VitalsCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let vitals = self.0.snapshot();
        let (pool, event_loop) = (vitals.pool, vitals.event_loop);
        let idle = pool.capacity.saturating_sub(pool.busy);
        let mut page = MetricsPage(encoder);
        page.gauge(
            "blocking_pool_threads",
            "Threads for blocking jobs by state",
            [("busy", pool.busy), ("idle", idle)]
                .map(|(state, threads)| (vec![("state", state)], threads)),
        )?;
        page.gauge(
            "blocking_pool_capacity",
            "Threads for blocking jobs",
            single(pool.capacity),
        )?;
        page.gauge(
            "blocking_pool_queue_depth",
            "Blocking jobs without a thread",
            single(pool.queued),
        )?;
        page.seconds(
            "blocking_pool_oldest_wait",
            "Wait so far of the oldest blocking job in the queue",
            single(pool.oldest_wait),
        )?;
        page.gauge(
            "blocking_pool_uncounted_threads",
            "Threads taken by work that is not counted, as a long wait shows",
            single(pool.uncounted()),
        )?;
        if let Some(canary) = vitals.canary {
            page.seconds(
                "blocking_pool_canary_wait",
                "Queue wait of the last canary, or of the one that is late",
                single(canary.wait),
            )?;
        }
        page.counter(
            "blocking_pool_jobs_completed",
            "Blocking jobs that ended",
            single(pool.completed),
        )?;
        page.seconds_total(
            "blocking_pool_busy",
            "Time that blocking threads were held, summed over threads",
            pool.busy_total,
        )?;
        page.seconds(
            "event_loop_lag",
            "Lateness of the last tick",
            single(event_loop.last),
        )?;
        page.seconds(
            "event_loop_lag_max",
            "Lateness of the latest tick since the start",
            single(event_loop.max),
        )?;
        page.seconds(
            "event_loop_overdue",
            "How long the next tick is overdue: a loop blocked right now",
            single(event_loop.overdue),
        )?;
        page.gauge(
            "tokio_alive_tasks",
            "Tasks that have not ended",
            single(vitals.tasks_alive),
        )?;
        page.gauge(
            "tokio_workers",
            "Threads that run tasks",
            single(vitals.workers),
        )
    }
}
