//! Writes metrics onto a page that is made anew for each scrape.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// The page of one scrape.
pub(crate) struct MetricsPage<'a>(pub(crate) DescriptorEncoder<'a>);

/// A value, with the names and values of its labels.
pub(crate) type Sample<'a, N> = (Vec<(&'a str, &'a str)>, N);

/// The only sample of a metric, without labels.
pub(crate) fn single<N>(value: N) -> [Sample<'static, N>; 1] {
    [(Vec::new(), value)]
}

impl MetricsPage<'_> {
    pub(crate) fn gauge<'s>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = Sample<'s, usize>>,
    ) -> fmt::Result {
        let metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        encode(metric, samples, ConstGauge::new)
    }

    /// A gauge in seconds; `_seconds` is appended to its name.
    pub(crate) fn seconds<'s>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = Sample<'s, Duration>>,
    ) -> fmt::Result {
        let unit = Some(&Unit::Seconds);
        let metric = self
            .0
            .encode_descriptor(name, help, unit, MetricType::Gauge)?;
        encode(metric, samples, |time| ConstGauge::new(time.as_secs_f64()))
    }

    /// A counter; `_total` is appended to its name.
    pub(crate) fn counter<'s>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = Sample<'s, u64>>,
    ) -> fmt::Result {
        let metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        encode(metric, samples, ConstCounter::new)
    }

    /// A counter of time; `_seconds_total` is appended to its name.
    pub(crate) fn seconds_total(&mut self, name: &str, help: &str, time: Duration) -> fmt::Result {
        let unit = Some(&Unit::Seconds);
        let metric = self
            .0
            .encode_descriptor(name, help, unit, MetricType::Counter)?;
        ConstCounter::new(time.as_secs_f64()).encode(metric)
    }
}

fn encode<'s, N, M: EncodeMetric>(
    mut metric: MetricEncoder<'_>,
    samples: impl IntoIterator<Item = Sample<'s, N>>,
    of: impl Fn(N) -> M,
) -> fmt::Result {
    for (labels, value) in samples {
        if labels.is_empty() {
            // Not as a family: an empty set of labels would be written as `{}`.
            return of(value).encode(metric);
        }
        of(value).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}
