//! The bulkheads' counters for Prometheus, read when they are scraped.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;

use crate::bulkhead::{Bulkhead, WeakBulkhead};
use crate::bulkhead_snapshot::BulkheadSnapshot;
use crate::metrics_page::{MetricsPage, Sample};

/// Adds the metrics of `bulkheads` to `registry`; they are read at each scrape.
///
/// Gauges `bulkhead_threads{bulkhead="…",state="busy"|"idle"}`, `bulkhead_capacity{bulkhead="…"}`,
/// `bulkhead_queue_depth`, `bulkhead_queue_limit` (absent if there is no limit) and
/// `bulkhead_oldest_wait_seconds`; counters `bulkhead_refused_total` and
/// `bulkhead_jobs_completed_total`.
///
/// Name all of an app's bulkheads in one call, because a metric may be described only once in a registry.
/// The registry does not keep them alive: when a bulkhead is gone, so are its metrics.
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

impl Collector for BulkheadCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let alive: Vec<_> = self.0.iter().filter_map(WeakBulkhead::upgrade).collect();
        let all: Vec<_> = alive
            .iter()
            .map(|one| (one.name(), one.snapshot()))
            .collect();
        let mut page = MetricsPage(encoder);
        page.gauge(
            "bulkhead_threads",
            "Threads of the bulkhead by state",
            all.iter().flat_map(|(name, one)| {
                let idle = one.capacity.saturating_sub(one.busy);
                [("busy", one.busy), ("idle", idle)]
                    .map(|(state, threads)| (vec![("bulkhead", *name), ("state", state)], threads))
            }),
        )?;
        page.gauge(
            "bulkhead_capacity",
            "Threads of the bulkhead",
            each(&all, |one| Some(one.capacity)),
        )?;
        page.gauge(
            "bulkhead_queue_depth",
            "Jobs without a thread",
            each(&all, |one| Some(one.queued)),
        )?;
        page.gauge(
            "bulkhead_queue_limit",
            "Jobs that may wait while all threads are busy",
            each(&all, |one| one.queue_limit),
        )?;
        page.seconds(
            "bulkhead_oldest_wait",
            "Wait so far of the oldest job in the queue",
            each(&all, |one| Some(one.oldest_wait)),
        )?;
        page.counter(
            "bulkhead_refused",
            "Jobs refused for want of room",
            each(&all, |one| Some(one.refused)),
        )?;
        page.counter(
            "bulkhead_jobs_completed",
            "Jobs that ended",
            each(&all, |one| Some(one.completed)),
        )
    }
}

/// A figure of each bulkhead that has it.
fn each<'a, N>(
    all: &'a [(&'a str, BulkheadSnapshot)],
    figure: impl Fn(&BulkheadSnapshot) -> Option<N> + 'a,
) -> impl Iterator<Item = Sample<'a, N>> {
    all.iter()
        .filter_map(move |(name, one)| Some((vec![("bulkhead", *name)], figure(one)?)))
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
