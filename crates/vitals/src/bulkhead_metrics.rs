//! The bulkheads' counters for Prometheus, read when they are scraped.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use crate::bulkhead::{Bulkhead, BulkheadSnapshot, WeakBulkhead};

/// Adds the metrics of `bulkheads` to `registry`; they are read at each scrape.
///
/// Gauges `bulkhead_threads{bulkhead="…",state="busy"|"idle"}`, `bulkhead_capacity{bulkhead="…"}`,
/// `bulkhead_queue_depth`, `bulkhead_queue_limit` (absent where there is none) and
/// `bulkhead_oldest_wait_seconds`; counters `bulkhead_refused_total` and
/// `bulkhead_jobs_completed_total`.
///
/// Name all of an app's bulkheads in one call: a metric may be described only once in a registry.
/// They are not kept alive, and the metrics of one that is gone are gone.
///
/// ```
/// use prometheus_client::registry::Registry;
/// use vitals::{Bulkhead, register_bulkheads};
///
/// let reports = Bulkhead::new("reports", 4, Some(8));
/// let images = Bulkhead::new("images", 2, Some(2));
/// let mut registry = Registry::default();
/// register_bulkheads(&mut registry, [&reports, &images]);
/// ```
pub fn register_bulkheads<'a>(
    registry: &mut Registry,
    bulkheads: impl IntoIterator<Item = &'a Bulkhead>,
) {
    let bulkheads = bulkheads.into_iter().map(Bulkhead::downgrade).collect();
    registry.register_collector(Box::new(BulkheadCollector(bulkheads)));
}

#[derive(Debug)]
struct BulkheadCollector(Vec<WeakBulkhead>);

type Named = (String, BulkheadSnapshot);

impl Collector for BulkheadCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let alive = self.0.iter().filter_map(WeakBulkhead::upgrade);
        let all: Vec<Named> = alive
            .map(|one| (one.name().to_owned(), one.snapshot()))
            .collect();
        threads(&mut encoder, &all)?;
        gauges(
            &mut encoder,
            "bulkhead_capacity",
            "Threads of the bulkhead",
            &all,
            |one| Some(one.capacity),
        )?;
        gauges(
            &mut encoder,
            "bulkhead_queue_depth",
            "Jobs without a thread",
            &all,
            |one| Some(one.queued),
        )?;
        gauges(
            &mut encoder,
            "bulkhead_queue_limit",
            "Jobs that may wait while all threads are busy",
            &all,
            |one| one.queue_limit,
        )?;
        let help = "Wait so far of the oldest job in the queue";
        let unit = Some(&Unit::Seconds);
        let mut family =
            encoder.encode_descriptor("bulkhead_oldest_wait", help, unit, MetricType::Gauge)?;
        for (name, one) in &all {
            let labels = [("bulkhead", name.as_str())];
            ConstGauge::new(one.oldest_wait.as_secs_f64())
                .encode(family.encode_family(&labels)?)?;
        }
        counters(
            &mut encoder,
            "bulkhead_refused",
            "Jobs refused for want of room",
            &all,
            |one| one.refused,
        )?;
        counters(
            &mut encoder,
            "bulkhead_jobs_completed",
            "Jobs that ended",
            &all,
            |one| one.completed,
        )
    }
}

fn threads(encoder: &mut DescriptorEncoder<'_>, all: &[Named]) -> fmt::Result {
    let help = "Threads of the bulkhead by state";
    let mut family =
        encoder.encode_descriptor("bulkhead_threads", help, None, MetricType::Gauge)?;
    for (name, one) in all {
        let idle = one.capacity.saturating_sub(one.busy);
        for (state, threads) in [("busy", one.busy), ("idle", idle)] {
            let labels = [("bulkhead", name.as_str()), ("state", state)];
            ConstGauge::new(threads).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn gauges(
    encoder: &mut DescriptorEncoder<'_>,
    metric: &str,
    help: &str,
    all: &[Named],
    value: impl Fn(&BulkheadSnapshot) -> Option<usize>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(metric, help, None, MetricType::Gauge)?;
    for (name, one) in all {
        if let Some(value) = value(one) {
            let labels = [("bulkhead", name.as_str())];
            ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn counters(
    encoder: &mut DescriptorEncoder<'_>,
    metric: &str,
    help: &str,
    all: &[Named],
    value: impl Fn(&BulkheadSnapshot) -> u64,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(metric, help, None, MetricType::Counter)?;
    for (name, one) in all {
        let labels = [("bulkhead", name.as_str())];
        ConstCounter::new(value(one)).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::readiness::ReadinessWatch;

    fn page(registry: &Registry) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
        text
    }

    #[tokio::test]
    async fn every_bulkhead_has_its_lines_and_a_metric_is_described_once() {
        let reports = Bulkhead::new("reports", 4, Some(8));
        let images = Bulkhead::new("images", 2, None);
        let mut registry = Registry::default();
        register_bulkheads(&mut registry, [&reports, &images]);
        reports.run(|| ()).await.unwrap();
        let text = page(&registry);
        for line in [
            "bulkhead_threads{bulkhead=\"reports\",state=\"idle\"} 4",
            "bulkhead_capacity{bulkhead=\"images\"} 2",
            "bulkhead_queue_depth{bulkhead=\"reports\"} 0",
            "bulkhead_queue_limit{bulkhead=\"reports\"} 8",
            "bulkhead_oldest_wait_seconds{bulkhead=\"images\"} 0.0",
            "bulkhead_refused_total{bulkhead=\"images\"} 0",
            "bulkhead_jobs_completed_total{bulkhead=\"reports\"} 1",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
        assert!(!text.contains("bulkhead_queue_limit{bulkhead=\"images\"}"));
        assert_eq!(text.matches("# TYPE bulkhead_capacity").count(), 1);

        drop(images);
        assert!(!page(&registry).contains("images"), "it is gone");
    }

    #[tokio::test]
    async fn readiness_is_a_gauge_and_its_changes_a_counter() {
        let readiness = ReadinessWatch::spawn(Duration::from_secs(1), || false);
        let mut registry = Registry::default();
        readiness.register(&mut registry);
        let text = page(&registry);
        assert!(text.contains("\nreadiness_ready 1\n"), "{text}");
        assert!(text.contains("\nreadiness_transitions_total 0\n"), "{text}");
    }
}
