//! The counters for Prometheus, read when they are scraped.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::ledger::ExchangeLedger;
use crate::relay::Relay;
use crate::snapshot::RelaySnapshot;

impl Relay {
    /// Adds these metrics to `registry`; they are read at each scrape.
    ///
    /// Gauges `relay_permits_in_use`, `relay_permits_limit`, `relay_permits_peak`,
    /// `relay_permits_waiting`, `relay_bodies_reading`, `relay_body_bytes`, `relay_awaiting_head`,
    /// `relay_streams_open`; counters `relay_refused_total`, `relay_fallbacks_total{reason="…"}` and
    /// `relay_endings_total{ending="…"}`; histograms `relay_exchange_duration_seconds` of the exchanges
    /// that have ended, and `relay_time_to_first_byte_seconds` of the bodies that have begun, both
    /// counted from the permit.
    ///
    /// A registry takes the metrics of one relay only, because a metric may be described only once. For
    /// several relays there is [`register_relays`].
    pub fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(RelayCollector::One(self.clone())));
    }
}

/// Adds the metrics of several relays to `registry`: those of [`Relay::register`], with the name that is
/// given here as a further label `relay`.
///
/// Name all of an app's relays in one call, because a metric may be described only once in a registry.
/// Two calls describe it twice, under labels of
/// [`sub_registry_with_label`](Registry::sub_registry_with_label) as well; under different prefixes
/// they work.
///
/// ```
/// use relay::prometheus_client::registry::Registry;
/// use relay::{Relay, Timeouts, register_relays};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let chat = Relay::new("http://127.0.0.1:9000".parse()?, Timeouts::default(), 100)?;
/// let images = Relay::new("http://127.0.0.1:9001".parse()?, Timeouts::default(), 10)?;
/// let mut registry = Registry::default();
/// register_relays(&mut registry, [("chat", &chat), ("images", &images)]);
/// # let mut text = String::new();
/// # relay::prometheus_client::encoding::text::encode(&mut text, &registry)?;
/// # assert!(text.contains("relay_permits_limit{relay=\"images\"} 10\n"), "{text}");
/// # assert_eq!(text.matches("# TYPE relay_permits_limit ").count(), 1);
/// # Ok(())
/// # }
/// ```
pub fn register_relays<'a>(
    registry: &mut Registry,
    relays: impl IntoIterator<Item = (&'a str, &'a Relay)>,
) {
    let relays = relays.into_iter();
    let relays = relays.map(|(name, relay)| (name.to_owned(), relay.clone()));
    registry.register_collector(Box::new(RelayCollector::Named(relays.collect())));
}

#[derive(Debug)]
enum RelayCollector {
    One(Relay),
    Named(Vec<(String, Relay)>),
}

/// The figures of a relay at one scrape.
struct Reading<'a> {
    /// The relay's name, as the value of a label; none if it is the only relay.
    name: Option<&'a str>,
    counters: RelaySnapshot,
    ledger: &'a ExchangeLedger,
}

impl<'a> Reading<'a> {
    fn of(name: Option<&'a str>, relay: &'a Relay) -> Self {
        Self {
            name,
            counters: relay.snapshot(),
            ledger: &relay.shared.ledger,
        }
    }

    /// Its labels, `further` among them.
    fn labels(&self, further: Option<(&'a str, &'a str)>) -> Vec<(&'a str, &'a str)> {
        let name = self.name.map(|name| ("relay", name));
        name.into_iter().chain(further).collect()
    }
}

impl Collector for RelayCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let all: Vec<_> = match self {
            Self::One(relay) => vec![Reading::of(None, relay)],
            Self::Named(relays) => relays
                .iter()
                .map(|(name, relay)| Reading::of(Some(name), relay))
                .collect(),
        };
        gauges(&mut encoder, &all)?;
        counters(&mut encoder, &all)?;
        histograms(&mut encoder, &all)
    }
}

fn gauges(encoder: &mut DescriptorEncoder<'_>, all: &[Reading<'_>]) -> fmt::Result {
    type Figure = fn(&RelaySnapshot) -> usize;
    let figures: [(&str, &str, Figure); 8] = [
        ("relay_permits_in_use", "Permits held", |relay| {
            relay.permits_in_use
        }),
        ("relay_permits_limit", "Permits there are", |relay| {
            relay.permits_limit
        }),
        (
            "relay_permits_peak",
            "Most permits ever held at once",
            |relay| relay.permits_peak,
        ),
        (
            "relay_permits_waiting",
            "Requests that wait for a permit",
            |relay| relay.permits_waiting,
        ),
        (
            "relay_bodies_reading",
            "Request bodies being read",
            |relay| relay.bodies_reading,
        ),
        (
            "relay_body_bytes",
            "Bytes of memory that request bodies take",
            |relay| relay.body_bytes,
        ),
        (
            "relay_awaiting_head",
            "Requests without a response head yet",
            |relay| relay.awaiting_head,
        ),
        ("relay_streams_open", "Streams being relayed", |relay| {
            relay.streams_open
        }),
    ];
    for (name, help, figure) in figures {
        let family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        each(family, all, |one| ConstGauge::new(figure(&one.counters)))?;
    }
    Ok(())
}

fn counters(encoder: &mut DescriptorEncoder<'_>, all: &[Reading<'_>]) -> fmt::Result {
    let help = "Requests refused because a limit was reached";
    let family = encoder.encode_descriptor("relay_refused", help, None, MetricType::Counter)?;
    each(family, all, |one| ConstCounter::new(one.counters.refused))?;

    type Counts = fn(&RelaySnapshot) -> &BTreeMap<String, u64>;
    let families: [(&str, &str, &str, Counts); 2] = [
        (
            "relay_fallbacks",
            "Upstreams given up for the next one, by why",
            "reason",
            |relay| &relay.fallbacks,
        ),
        (
            "relay_endings",
            "Exchanges that ended, by how",
            "ending",
            |relay| &relay.endings,
        ),
    ];
    for (name, help, label, counts) in families {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for one in all {
            for (value, count) in counts(&one.counters) {
                let labels = one.labels(Some((label, value)));
                ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
            }
        }
    }
    Ok(())
}

fn histograms(encoder: &mut DescriptorEncoder<'_>, all: &[Reading<'_>]) -> fmt::Result {
    type HistogramOf = fn(&ExchangeLedger) -> &Histogram;
    let families: [(&str, &str, HistogramOf); 2] = [
        (
            "relay_exchange_duration",
            "How long exchanges took that have ended",
            ExchangeLedger::durations,
        ),
        (
            "relay_time_to_first_byte",
            "How long the first bytes of bodies took",
            ExchangeLedger::first_bytes,
        ),
    ];
    for (name, help, times) in families {
        let seconds = Some(&Unit::Seconds);
        let family = encoder.encode_descriptor(name, help, seconds, MetricType::Histogram)?;
        each(family, all, |one| times(one.ledger).clone())?;
    }
    Ok(())
}

/// The metric of each relay.
fn each<M: EncodeMetric>(
    mut family: MetricEncoder<'_>,
    all: &[Reading<'_>],
    metric: impl Fn(&Reading<'_>) -> M,
) -> fmt::Result {
    for one in all {
        if one.name.is_none() {
            // Without a label: an empty set of labels would be written as `{}`.
            return metric(one).encode(family);
        }
        metric(one).encode(family.encode_family(&one.labels(None))?)?;
    }
    Ok(())
}
