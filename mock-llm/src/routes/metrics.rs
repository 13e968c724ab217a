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

use crate::Mock;

/// Upper bounds of the buckets of the lateness. The timer's own resolution is 1 ms.
const BOUNDS_US: [u64; 10] = [
    500, 1_000, 2_000, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 1_000_000,
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

/// The ledger is the only account; it is read at each scrape rather than counted a second time.
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
            "connections",
            "Connections open now",
            stats.connections,
        )?;
        counter(
            &mut encoder,
            "streams_started",
            "Streams opened",
            tally.started,
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
        self.lateness(&mut encoder)
    }
}

impl Snapshot {
    fn lateness(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let (cumulative, count, sum_us) = self.0.lateness().cumulative(&BOUNDS_US);
        let mut below = 0;
        let mut buckets = Vec::with_capacity(BOUNDS_US.len() + 1);
        for (bound_us, up_to) in BOUNDS_US.iter().zip(cumulative) {
            buckets.push((seconds(*bound_us), up_to - below));
            below = up_to;
        }
        buckets.push((f64::INFINITY, count - below));
        let help = "How late tokens left, against their schedule";
        encoder
            .encode_descriptor(
                "lateness",
                help,
                Some(&Unit::Seconds),
                MetricType::Histogram,
            )?
            .encode_histogram::<NoLabelSet>(seconds(sum_us), count, &buckets, None)
    }
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
