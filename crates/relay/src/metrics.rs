//! The counters for Prometheus, read when they are scraped.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use crate::relay::Relay;

impl Relay {
    /// Adds these metrics to `registry`; they are read at each scrape.
    ///
    /// Gauges `relay_permits_in_use`, `relay_permits_limit`, `relay_permits_peak`,
    /// `relay_permits_waiting`, `relay_awaiting_head`, `relay_streams_open`; counters
    /// `relay_refused_total`, `relay_fallbacks_total{reason="…"}` and
    /// `relay_endings_total{ending="…"}`; histograms `relay_exchange_duration_seconds` of the exchanges
    /// that have ended, however they did, and `relay_time_to_first_byte_seconds` of the bodies that
    /// have begun, both from the permit on.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(RelayCollector(self.clone())));
    }
}

#[derive(Debug)]
struct RelayCollector(Relay);

impl Collector for RelayCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let relay = self.0.snapshot();
        for (name, help, value) in [
            ("relay_permits_in_use", "Permits held", relay.permits_in_use),
            (
                "relay_permits_limit",
                "Permits there are",
                relay.permits_limit,
            ),
            (
                "relay_permits_peak",
                "Most permits ever held at once",
                relay.permits_peak,
            ),
            (
                "relay_permits_waiting",
                "Requests that wait for a permit",
                relay.permits_waiting,
            ),
            (
                "relay_awaiting_head",
                "Requests without a response head yet",
                relay.awaiting_head,
            ),
            (
                "relay_streams_open",
                "Streams being relayed",
                relay.streams_open,
            ),
        ] {
            let gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(gauge)?;
        }
        let help = "Requests refused because no permit was left";
        let counter =
            encoder.encode_descriptor("relay_refused", help, None, MetricType::Counter)?;
        ConstCounter::new(relay.refused).encode(counter)?;

        for (name, help, label, counts) in [
            (
                "relay_fallbacks",
                "Upstreams given up for the next one, by why",
                "reason",
                relay.fallbacks,
            ),
            (
                "relay_endings",
                "Exchanges that ended, by how",
                "ending",
                relay.endings,
            ),
        ] {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (value, count) in counts {
                let labels = [(label, value)];
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }

        let ledger = &self.0.shared.ledger;
        for (name, help, times) in [
            (
                "relay_exchange_duration",
                "How long exchanges took that have ended",
                ledger.durations(),
            ),
            (
                "relay_time_to_first_byte",
                "How long the first bytes of bodies took",
                ledger.first_bytes(),
            ),
        ] {
            let seconds = Some(&Unit::Seconds);
            let kind = MetricType::Histogram;
            times.encode(encoder.encode_descriptor(name, help, seconds, kind)?)?;
        }
        Ok(())
    }
}
