use super::flat;
use crate::scenario::Value;
use crate::summary::{Distribution, Probe, Summary};

/// A measured value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measured {
    pub(super) value: Value,
    /// Whether it is a lower bound.
    pub(super) censored: bool,
}

impl Measured {
    fn exact(value: Value) -> Self {
        Self {
            value,
            censored: false,
        }
    }

    fn number(value: u64) -> Self {
        Self::exact(Value::Number(value as f64))
    }
}

const PROBE: [&str; 12] = [
    "p50",
    "p90",
    "p95",
    "p99",
    "p999",
    "max",
    "mean",
    "unanswered",
    "flat",
    "due",
    "ok",
    "baseline_p99",
];
const DISTRIBUTION: [&str; 7] = ["p50", "p90", "p95", "p99", "p999", "max", "mean"];
const STREAMS: [&str; 13] = [
    "started",
    "complete",
    "truncated",
    "error",
    "stalled",
    "refused",
    "cancelled",
    "unserved",
    "lost",
    "open_peak",
    "served_peak",
    "chunks",
    "sequence_errors",
];
const POOL: [&str; 5] = [
    "capacity",
    "busy_peak",
    "queued_peak",
    "busy_percent",
    "queue_wait_max",
];
const SERVER: [&str; 4] = ["rss_peak_bytes", "threads_peak", "fds_peak", "cpu_percent"];

/// Whether `name` is a metric of a scenario whose probe asks `endpoints`; if not, which there are.
///
/// # Errors
/// A sentence that lists the metrics.
pub fn is_known<'a>(name: &str, endpoints: impl Iterator<Item = &'a String>) -> Result<(), String> {
    let fields: &[&str] = match name.split_once('.') {
        None if matches!(name, "diagnosis" | "inferred_capacity") => return Ok(()),
        Some(("forecast", rest)) if rest.ends_with(".error") => return Ok(()),
        Some(("recovery", "time")) => return Ok(()),
        Some(("streams", _)) => &STREAMS,
        Some(("ttft" | "gap" | "max_gap", _)) => &DISTRIBUTION,
        Some(("pool", _)) => &POOL,
        Some(("server", _)) => &SERVER,
        Some((endpoint, _)) if endpoints.into_iter().any(|known| known == endpoint) => &PROBE,
        _ => {
            return Err(format!(
                "\"{name}\" is no metric: there are <endpoint>.*, streams.*, ttft.*, gap.*, max_gap.*, pool.*, \
                 server.*, recovery.time, diagnosis, inferred_capacity and forecast.<name>.error"
            ));
        }
    };
    let field = name.split_once('.').map_or("", |(_, field)| field);
    if fields.contains(&field) {
        return Ok(());
    }
    Err(format!(
        "\"{name}\" is no metric: after the dot there is {}",
        fields.join(", ")
    ))
}

/// The value of metric `name`; `None` if it was not measured.
pub(super) fn metric(name: &str, summary: &Summary) -> Option<Measured> {
    let load = &summary.phases.load;
    let Some((group, field)) = name.split_once('.') else {
        return match name {
            "diagnosis" => Some(Measured::exact(Value::Word(
                summary.diagnosis.kind.name().to_owned(),
            ))),
            "inferred_capacity" => summary.diagnosis.inferred_capacity.map(Measured::number),
            _ => None,
        };
    };
    match group {
        "streams" => streams(field, summary),
        "ttft" => distribution(field, &load.streams.ttft_us),
        "gap" => distribution(field, &load.streams.gap_us),
        "max_gap" => distribution(field, &load.streams.max_gap_us),
        "pool" => {
            let pool = summary.server.pool.as_ref()?;
            match field {
                "capacity" => Some(Measured::number(pool.capacity)),
                "busy_peak" => Some(Measured::number(pool.busy_peak)),
                "queued_peak" => Some(Measured::number(pool.queued_peak)),
                "busy_percent" => pool
                    .busy_percent
                    .map(|percent| Measured::exact(Value::Percent(percent))),
                "queue_wait_max" => Some(Measured::exact(Value::Time(pool.oldest_wait_us_peak))),
                _ => None,
            }
        }
        "server" => match field {
            "rss_peak_bytes" => summary.server.rss_peak_bytes.map(Measured::number),
            "threads_peak" => summary.server.threads_peak.map(Measured::number),
            "fds_peak" => summary.server.fds_peak.map(Measured::number),
            "cpu_percent" => summary
                .server
                .cpu_percent
                .map(|percent| Measured::exact(Value::Percent(percent))),
            _ => None,
        },
        "recovery" => summary
            .phases
            .recovery
            .time_to_recover_us
            .map(|us| Measured::exact(Value::Time(us))),
        "forecast" => {
            let row = field.strip_suffix(".error")?;
            let row = summary
                .forecast
                .iter()
                .find(|forecast| forecast.name == row)?;
            row.error_percent
                .map(|percent| Measured::exact(Value::Percent(percent.abs())))
        }
        endpoint => probe(
            field,
            load.probes.get(endpoint)?,
            summary.phases.baseline.probes.get(endpoint),
        ),
    }
}

fn streams(field: &str, summary: &Summary) -> Option<Measured> {
    let streams = &summary.phases.load.streams;
    let count = match field {
        "started" => streams.started,
        "complete" => streams.complete,
        "truncated" => streams.truncated,
        "error" => streams.error,
        "stalled" => streams.stalled,
        "refused" => streams.refused,
        "cancelled" => streams.cancelled,
        "unserved" => streams.unserved,
        "lost" => streams.truncated + streams.error + streams.stalled + streams.refused,
        "open_peak" => streams.open_peak,
        "served_peak" => streams.served_peak?,
        "chunks" => streams.chunks,
        "sequence_errors" => streams.sequence_errors,
        _ => return None,
    };
    // Without a single stream every count is 0, which would satisfy most expectations.
    (streams.started > 0).then(|| Measured::number(count))
}

fn probe(field: &str, hold: &Probe, baseline: Option<&Probe>) -> Option<Measured> {
    match field {
        "unanswered" => hold
            .unanswered_percent()
            .map(|percent| Measured::exact(Value::Percent(percent))),
        "flat" => flat::is_flat(baseline?, hold).map(|flat| Measured::exact(Value::Flag(flat))),
        "due" => Some(Measured::number(hold.due)),
        "ok" => Some(Measured::number(hold.ok)),
        "baseline_p99" => distribution("p99", &baseline?.response_us),
        _ => distribution(field, &hold.response_us),
    }
}

fn distribution(field: &str, figures: &Distribution) -> Option<Measured> {
    let (us, censored) = match field {
        "p50" => (figures.p50, figures.p50_censored),
        "p90" => (figures.p90, figures.p90_censored),
        "p95" => (figures.p95, figures.p95_censored),
        "p99" => (figures.p99, figures.p99_censored),
        "p999" => (figures.p999, figures.p999_censored),
        "max" => (figures.max, figures.max_censored),
        "mean" => (figures.mean, figures.max_censored),
        _ => return None,
    };
    us.map(|us| Measured {
        value: Value::Time(us),
        censored,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_metric_is_told_what_there_is() {
        let endpoints = ["health_sync".to_owned()];
        let known = |name: &str| is_known(name, endpoints.iter());
        for name in [
            "health_sync.p99",
            "streams.lost",
            "ttft.p99",
            "pool.busy_percent",
            "diagnosis",
            "recovery.time",
        ] {
            assert_eq!(known(name), Ok(()), "{name}");
        }
        assert!(known("health_sync.p98").is_err_and(|error| error.contains("p999")));
        assert!(known("health_snyc.p99").is_err_and(|error| error.contains("is no metric")));
    }
}
