use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use serde::Serialize;

use crate::histogram::Times;
use crate::mock::Mock;

/// Upper bounds of the buckets of the lateness. The timer's resolution is 1 ms.
const LATENESS_BOUNDS_US: [u64; 10] = [
    500, 1_000, 2_000, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 1_000_000,
];

/// Upper bounds of the buckets of the time in the queue, which is that of whole streams.
const QUEUE_BOUNDS_US: [u64; 10] = [
    1_000, 10_000, 100_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000,
    60_000_000,
];

/// `GET /metrics`.
pub async fn metrics(State(mock): State<Mock>) -> Response {
    let mut registry = Registry::with_prefix("mock_llm");
    registry.register_collector(Box::new(Snapshot(mock)));
    let mut text = String::new();
    if encode(&mut text, &registry).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, content_type)], text).into_response()
}

/// The figures are read at each scrape, so that nothing is counted a second time.
#[derive(Debug)]
struct Snapshot(Mock);

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let stats = self.0.stats();
        let tally = &stats.tally;
        gauge(&mut encoder, "streams_open", "Streams open now", tally.open)?;
        gauge(
            &mut encoder,
            "streams_open_peak",
            "Most streams open at once",
            tally.open_peak,
        )?;
        gauge(
            &mut encoder,
            "streams_queued",
            "Streams in the queue now",
            tally.queued,
        )?;
        gauge(
            &mut encoder,
            "streams_running",
            "Streams that run now",
            tally.running,
        )?;
        gauge(
            &mut encoder,
            "faults_active",
            "Answers under way that have a fault",
            stats.faults.active,
        )?;
        gauge(
            &mut encoder,
            "connections",
            "Connections open now",
            stats.connections,
        )?;
        counter(
            &mut encoder,
            "streams_started",
            "Streams asked for",
            tally.started,
        )?;
        counter(
            &mut encoder,
            "faults_committed",
            "Answers that were given a fault",
            stats.faults.committed,
        )?;
        counter(
            &mut encoder,
            "faults_withheld",
            "Answers that were spared by a cap",
            stats.faults.withheld,
        )?;
        let retries = tally.by_retry_count.iter();
        family(
            &mut encoder,
            "streams_started_by_attempt",
            "Streams asked for, by the client's count of earlier attempts (9 is 9 or more)",
            "retry_count",
            retries.map(|(attempt, count)| (attempt.clone(), *count)),
        )?;
        let causes = tally
            .by_cause
            .iter()
            .map(|(cause, count)| (name(cause), *count));
        family(
            &mut encoder,
            "streams_ended",
            "Streams ended, by cause",
            "cause",
            causes,
        )?;
        let phases = tally
            .by_phase
            .iter()
            .map(|(phase, count)| (name(phase), *count));
        family(
            &mut encoder,
            "streams_ended_in",
            "Streams ended, by phase",
            "phase",
            phases,
        )?;
        histogram(
            &mut encoder,
            "lateness",
            "How late tokens left, against their schedule",
            self.0.lateness(),
            &LATENESS_BOUNDS_US,
        )?;
        histogram(
            &mut encoder,
            "queue",
            "How long requests were in the queue before they ran or gave up",
            self.0.gate().waits(),
            &QUEUE_BOUNDS_US,
        )
    }
}

fn histogram(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    times: &Times,
    bounds_us: &[u64],
) -> Result<(), std::fmt::Error> {
    let (cumulative, count, sum_us) = times.cumulative(bounds_us);
    let mut below = 0;
    let mut buckets = Vec::with_capacity(bounds_us.len() + 1);
    for (bound_us, up_to) in bounds_us.iter().zip(cumulative) {
        buckets.push((seconds(*bound_us), up_to.saturating_sub(below)));
        below = up_to;
    }
    buckets.push((f64::INFINITY, count.saturating_sub(below)));
    encoder
        .encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?
        .encode_histogram::<NoLabelSet>(seconds(sum_us), count, &buckets, None)
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: u64,
) -> Result<(), std::fmt::Error> {
    let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
    gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: u64,
) -> Result<(), std::fmt::Error> {
    ConstCounter::new(value).encode(encoder.encode_descriptor(
        name,
        help,
        None,
        MetricType::Counter,
    )?)
}

fn family(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &'static str,
    members: impl Iterator<Item = (String, u64)>,
) -> Result<(), std::fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (value, count) in members {
        let labels = [(label, value)];
        ConstCounter::new(count).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

/// The name of a phase or cause, as the JSON has it.
fn name<T: Serialize>(value: &T) -> String {
    let json = serde_json::to_value(value).unwrap_or_default();
    json.as_str().unwrap_or_default().to_owned()
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}
