//! The counters for Prometheus, read when they are scraped.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::Rollout;
use super::assignment::StreamMethod;
use super::books::TTFT_BOUNDS;

impl Rollout {
    /// Adds these metrics to `registry`; they are read at each scrape.
    ///
    /// | metric | |
    /// |---|---|
    /// | `rollout_async_ratio` | the percentage in force, 0 to 1 |
    /// | `rollout_in_flight{method}` | clients being served, by the path that does; a blocking job may outlive its client |
    /// | `rollout_requests_total{cohort}` | requests that began |
    /// | `rollout_endings_total{cohort, ending}` | requests that ended, by [`Outcome::label`](super::Outcome::label) |
    /// | `rollout_ttft_seconds{cohort}` | histogram: from the request to the first byte of an answer below 400 |
    /// | `rollout_fallbacks_total{reason}` | requests of the async cohort that the blocking path served |
    ///
    /// `method` and `cohort` are `async` or `blocking`. A request that fell back stays in its cohort.
    /// Clients that still wait are in no bucket of the histogram: alert on `rollout_in_flight` too.
    ///
    /// A registry takes the metrics of one rollout only, because a metric may be described only once. Of
    /// several rollouts, give each a prefix
    /// ([`sub_registry_with_prefix`](Registry::sub_registry_with_prefix)).
    pub fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(RolloutCollector(self.clone())));
    }
}

#[derive(Debug)]
struct RolloutCollector(Rollout);

impl Collector for RolloutCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let books = self.0.books();
        let help = "Share of keys that take the async path";
        let gauge =
            encoder.encode_descriptor("rollout_async_ratio", help, None, MetricType::Gauge)?;
        ConstGauge::new(f64::from(self.0.percentage().get()) / 100.0).encode(gauge)?;

        let help =
            "Clients being served, by the path that does; a blocking job may outlive its client";
        let mut family =
            encoder.encode_descriptor("rollout_in_flight", help, None, MetricType::Gauge)?;
        for method in StreamMethod::BOTH {
            let gauge = ConstGauge::new(books.in_flight(method));
            gauge.encode(family.encode_family(&[("method", method.label())])?)?;
        }

        let help = "Requests that began";
        let mut family =
            encoder.encode_descriptor("rollout_requests", help, None, MetricType::Counter)?;
        for cohort in StreamMethod::BOTH {
            let counter = ConstCounter::new(books.requests(cohort));
            counter.encode(family.encode_family(&[("cohort", cohort.label())])?)?;
        }

        let help = "Requests that ended, by how";
        let mut family =
            encoder.encode_descriptor("rollout_endings", help, None, MetricType::Counter)?;
        for cohort in StreamMethod::BOTH {
            for (ending, count) in books.outcomes(cohort) {
                let labels = [("cohort", cohort.label()), ("ending", ending)];
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }

        let help = "From the request to the first byte of its answer";
        let mut family = encoder.encode_descriptor(
            "rollout_ttft",
            help,
            Some(&Unit::Seconds),
            MetricType::Histogram,
        )?;
        for cohort in StreamMethod::BOTH {
            let ttft = books.ttft(cohort);
            let bounds = TTFT_BOUNDS.into_iter().chain([f64::INFINITY]);
            let buckets: Vec<_> = bounds.zip(ttft.buckets).collect();
            let sum = ttft.sum.as_secs_f64();
            family
                .encode_family(&[("cohort", cohort.label())])?
                .encode_histogram::<NoLabelSet>(sum, ttft.count, &buckets, None)?;
        }

        let help = "Requests of the async cohort that the blocking path served, by why";
        let mut family =
            encoder.encode_descriptor("rollout_fallbacks", help, None, MetricType::Counter)?;
        for (reason, count) in books.fallbacks() {
            let labels = [("reason", reason)];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
