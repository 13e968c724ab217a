//! The gauges for Prometheus, read when they are scraped: no second copy of any state.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

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
    /// `blocking_pool_uncounted_threads`, `blocking_pool_canary_wait_seconds` (once there was a
    /// canary), `event_loop_lag_seconds`,
    /// `event_loop_lag_max_seconds`, `event_loop_overdue_seconds`, `tokio_alive_tasks`,
    /// `tokio_workers`; counters `blocking_pool_jobs_completed_total` and
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
        let mut page = Page(encoder);
        page.threads(pool.busy, pool.capacity)?;
        page.count(
            "blocking_pool_capacity",
            "Threads for blocking jobs",
            pool.capacity,
        )?;
        page.count(
            "blocking_pool_queue_depth",
            "Blocking jobs without a thread",
            pool.queued,
        )?;
        page.seconds(
            "blocking_pool_oldest_wait",
            "Wait so far of the oldest blocking job in the queue",
            pool.oldest_wait.as_secs_f64(),
        )?;
        page.count(
            "blocking_pool_uncounted_threads",
            "Threads taken by work that is not counted, as a long wait shows",
            pool.uncounted(),
        )?;
        if let Some(canary) = vitals.canary {
            page.seconds(
                "blocking_pool_canary_wait",
                "Queue wait of the last canary, or of the one that is late",
                canary.wait.as_secs_f64(),
            )?;
        }
        page.total(
            "blocking_pool_jobs_completed",
            "Blocking jobs that ended",
            None,
            pool.completed,
        )?;
        page.total(
            "blocking_pool_busy",
            "Time that blocking threads were held, summed over threads",
            Some(&Unit::Seconds),
            pool.busy_total.as_secs_f64(),
        )?;
        page.seconds(
            "event_loop_lag",
            "Lateness of the last tick",
            event_loop.last.as_secs_f64(),
        )?;
        page.seconds(
            "event_loop_lag_max",
            "Lateness of the latest tick since the start",
            event_loop.max.as_secs_f64(),
        )?;
        page.seconds(
            "event_loop_overdue",
            "How long the next tick is overdue: a loop blocked right now",
            event_loop.overdue.as_secs_f64(),
        )?;
        page.count(
            "tokio_alive_tasks",
            "Tasks that have not ended",
            vitals.tasks_alive,
        )?;
        page.count("tokio_workers", "Threads that run tasks", vitals.workers)
    }
}

pub(crate) struct Page<'a>(pub(crate) DescriptorEncoder<'a>);

impl Page<'_> {
    fn threads(&mut self, busy: usize, capacity: usize) -> fmt::Result {
        let help = "Threads for blocking jobs by state";
        let mut family =
            self.0
                .encode_descriptor("blocking_pool_threads", help, None, MetricType::Gauge)?;
        for (state, threads) in [("busy", busy), ("idle", capacity.saturating_sub(busy))] {
            let labels = [("state", state)];
            ConstGauge::new(threads).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    pub(crate) fn count(&mut self, name: &str, help: &str, value: usize) -> fmt::Result {
        let gauge = ConstGauge::new(value);
        gauge.encode(
            self.0
                .encode_descriptor(name, help, None, MetricType::Gauge)?,
        )
    }

    fn seconds(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let gauge = ConstGauge::new(value);
        let unit = Some(&Unit::Seconds);
        gauge.encode(
            self.0
                .encode_descriptor(name, help, unit, MetricType::Gauge)?,
        )
    }

    pub(crate) fn total<N>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        value: N,
    ) -> fmt::Result
    where
        ConstCounter<N>: EncodeMetric,
    {
        let counter = ConstCounter::new(value);
        counter.encode(
            self.0
                .encode_descriptor(name, help, unit, MetricType::Counter)?,
        )
    }
}
