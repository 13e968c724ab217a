mod kubelet;

use super::{flat, steps};
use crate::scenario::{Cell, Value};
use crate::summary::{
    Background, Distribution, HangUps, Leftovers, Probe, Requests, Streams, Summary,
};

/// A measured value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Measured {
    pub(crate) value: Value,
    /// Whether it is a lower bound.
    pub(crate) censored: bool,
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
const STREAMS: [&str; 14] = [
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
    "receiving_peak",
    "chunks",
    "sequence_errors",
];
const COHORT: [&str; 8] = [
    "started", "served", "unserved", "lost", "ttft_p50", "ttft_p90", "ttft_p99", "ttft_max",
];
const REQUESTS: [&str; 23] = [
    "p50",
    "p90",
    "p95",
    "p99",
    "p999",
    "max",
    "mean",
    "ok_p50",
    "ok_p95",
    "ok_p99",
    "ok_mean",
    "failed",
    "unanswered",
    "due",
    "ok",
    "bad_status",
    "timeout",
    "lost",
    "cut_off",
    "completed",
    "throughput",
    "little_error",
    "busy",
];
const HANG_UPS: [&str; 16] = [
    "count",
    "reached",
    "hung_up",
    "completed",
    "broken",
    "hanging",
    "refused",
    "failed",
    "first_hanging",
    "served_after",
    "release_p50",
    "release_p99",
    "release_max",
    "not_released",
    "first_byte_p99",
    "on_fallback",
];
const LEFTOVER: [&str; 6] = [
    "upstream",
    "permits",
    "threads",
    "tasks",
    "connections",
    "fds",
];
const TIMINGS: [&str; 5] = ["count", "mean", "p50", "p99", "max"];
const POOL: [&str; 5] = [
    "capacity",
    "busy_peak",
    "queued_peak",
    "busy_percent",
    "queue_wait_max",
];
const BACKGROUND: [&str; 6] = [
    "pending_end",
    "pending_later",
    "pending_peak",
    "drain",
    "refused",
    "completed",
];
const SERVER: [&str; 5] = [
    "rss_peak_bytes",
    "rss_end_bytes",
    "threads_peak",
    "fds_peak",
    "cpu_percent",
];

/// Whether `name` is a metric of `cell`; if not, which there are.
///
/// # Errors
/// A sentence that lists the metrics.
pub fn is_known(name: &str, cell: &Cell) -> Result<(), String> {
    let fields: &[&str] = match name.split_once('.') {
        None if matches!(name, "diagnosis" | "inferred_capacity") => return Ok(()),
        Some(("steps", rest)) => return is_known_of_step(name, rest, cell),
        Some(("forecast", rest)) if rest.ends_with(".error") => return Ok(()),
        Some(("recovery", "time")) => return Ok(()),
        Some(("streams", _)) => &STREAMS,
        Some(("cohort", rest)) if rest.contains('.') => {
            let field = rest.rsplit('.').next().unwrap_or_default();
            return check_field(name, field, &COHORT);
        }
        Some(("ttft" | "gap" | "max_gap", _)) => &DISTRIBUTION,
        Some(("pool", _)) => &POOL,
        Some(("background", _)) => &BACKGROUND,
        Some(("server", _)) => &SERVER,
        Some(("hang_ups", _)) if cell.load.hang_ups.is_some() => &HANG_UPS,
        Some(("leftover", _)) if cell.load.hang_ups.is_some() => &LEFTOVER,
        // Which parts a server times is its own affair.
        Some(("timings", rest)) if rest.contains('.') => {
            let field = rest.rsplit('.').next().unwrap_or_default();
            return check_field(name, field, &TIMINGS);
        }
        Some(("bulkhead", _)) => &kubelet::BULKHEAD,
        Some(("kubelet", _)) if cell.kubelet.is_some() => &kubelet::KUBELET,
        Some(("requests", rest)) => return is_known_of_class(name, rest, cell),
        Some((endpoint, _)) if cell.endpoint_names().iter().any(|name| name == endpoint) => &PROBE,
        _ => {
            return Err(format!(
                "\"{name}\" is no metric: there are <endpoint>.*, requests.<class>.*, timings.<part>.*, streams.*, \
                 cohort.<cohort>.*, ttft.*, gap.*, max_gap.*, pool.*, background.*, bulkhead.*, server.*, recovery.time, diagnosis, \
                 inferred_capacity and forecast.<name>.error, steps.<step>.<metric> of cells with steps, kubelet.* of cells with a [kubelet], and hang_ups.* \
                 and leftover.* of cells with [load.hang_ups]"
            ));
        }
    };
    let field = name.split_once('.').map_or("", |(_, field)| field);
    check_field(name, field, fields)
}

fn is_known_of_step(name: &str, step_and_metric: &str, cell: &Cell) -> Result<(), String> {
    match step_and_metric.split_once('.') {
        Some((step, metric)) if cell.steps.iter().any(|one| one.name == step) => {
            is_known(metric, cell)
        }
        _ => {
            let steps: Vec<_> = cell.steps.iter().map(|step| step.name.as_str()).collect();
            Err(format!(
                "\"{name}\" is no metric of cell \"{}\": write steps.<step>.<metric>; its steps are {}",
                cell.name,
                steps.join(", ")
            ))
        }
    }
}

fn is_known_of_class(name: &str, class_and_field: &str, cell: &Cell) -> Result<(), String> {
    match class_and_field.split_once('.') {
        Some((class, field)) if cell.load.requests.contains_key(class) => {
            match field.strip_prefix("status.") {
                Some(code) => check_status(name, code),
                None => check_field(name, field, &REQUESTS),
            }
        }
        _ => {
            let classes: Vec<_> = cell.load.requests.keys().map(String::as_str).collect();
            Err(format!(
                "\"{name}\" is no metric of cell \"{}\": write requests.<class>.<field>; its classes are {}",
                cell.name,
                classes.join(", ")
            ))
        }
    }
}

fn check_status(name: &str, code: &str) -> Result<(), String> {
    let is_status = |code: u16| (100..600).contains(&code);
    if code.len() == 3 && code.parse().is_ok_and(is_status) {
        return Ok(());
    }
    Err(format!(
        "\"{name}\" is no metric: after `status.` there is a status such as 413"
    ))
}

fn check_field(name: &str, field: &str, fields: &[&str]) -> Result<(), String> {
    if fields.contains(&field) {
        return Ok(());
    }
    Err(format!(
        "\"{name}\" is no metric: after the dot there is {}",
        fields.join(", ")
    ))
}

/// The value of metric `name`; `None` if it was not measured.
pub(crate) fn metric(name: &str, summary: &Summary) -> Option<Measured> {
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
        "steps" => {
            let (step, metric_of_step) = field.split_once('.')?;
            let step = summary.steps.iter().find(|one| one.name == step)?;
            metric(metric_of_step, &steps::view(summary, step))
        }
        "streams" => streams(field, summary),
        "cohort" => {
            let (name, field) = field.split_once('.')?;
            cohort(name, field, &load.streams)
        }
        "requests" => {
            let (class, field) = field.split_once('.')?;
            requests(field, load.requests.get(class)?)
        }
        "hang_ups" => hang_ups(field, load.hang_ups.as_ref()?),
        "leftover" => leftover(field, summary.leftovers.as_ref()?).map(Measured::number),
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
        "background" => background(field, summary.server.background.as_ref()?),
        "timings" => {
            let (part, field) = field.split_once('.')?;
            let timing = summary.server.timings.get(part)?;
            let us = match field {
                "count" => return Some(Measured::number(timing.count)),
                "mean" => timing.mean_us,
                "p50" => timing.p50_us,
                "p99" => timing.p99_us,
                "max" => timing.max_us,
                _ => return None,
            };
            (timing.count > 0).then(|| Measured::exact(Value::Time(us)))
        }
        "server" => match field {
            "rss_end_bytes" => summary.server.rss_end_bytes.map(Measured::number),
            "rss_peak_bytes" => summary.server.rss_peak_bytes.map(Measured::number),
            "threads_peak" => summary.server.threads_peak.map(Measured::number),
            "fds_peak" => summary.server.fds_peak.map(Measured::number),
            "cpu_percent" => summary
                .server
                .cpu_percent
                .map(|percent| Measured::exact(Value::Percent(percent))),
            _ => None,
        },
        "kubelet" => kubelet::kubelet(field, summary),
        "bulkhead" => kubelet::bulkhead(field, summary.server.bulkhead.as_ref()?),
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

/// The metric as a number, times in microseconds, and whether it is a lower bound; `None` if it was
/// not measured or is no number.
pub(crate) fn number(name: &str, summary: &Summary) -> Option<(f64, bool)> {
    let measured = metric(name, summary)?;
    as_number(&measured.value).map(|value| (value, measured.censored))
}

/// A time in microseconds, a percentage or a plain number; nothing else is one.
pub(crate) fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Time(us) => Some(*us as f64),
        Value::Percent(value) | Value::Number(value) => Some(*value),
        Value::Flag(_) | Value::Word(_) => None,
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
        "receiving_peak" => streams.receiving_peak,
        "chunks" => streams.chunks,
        "sequence_errors" => streams.sequence_errors,
        _ => return None,
    };
    // Without a single stream every count is 0, which would satisfy most expectations.
    (streams.started > 0).then(|| Measured::number(count))
}

/// Of a cohort that no stream is in, where others are, every count is 0.
fn cohort(name: &str, field: &str, streams: &Streams) -> Option<Measured> {
    if streams.cohorts.is_empty() {
        return None;
    }
    let cohort = streams.cohorts.get(name);
    let count = |of: fn(&Streams) -> u64| Some(Measured::number(cohort.map_or(0, of)));
    match field {
        "started" => count(|cohort| cohort.started),
        "served" => count(|cohort| cohort.started - cohort.unserved - cohort.refused),
        "unserved" => count(|cohort| cohort.unserved),
        "lost" => count(|cohort| cohort.truncated + cohort.error + cohort.stalled + cohort.refused),
        _ => distribution(field.strip_prefix("ttft_")?, &cohort?.ttft_us),
    }
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

fn requests(field: &str, class: &Requests) -> Option<Measured> {
    let outcomes = &class.outcomes;
    if outcomes.due == 0 {
        // Of no request every count is 0, which would satisfy most expectations.
        return None;
    }
    let percent =
        |count: u64| Measured::exact(Value::Percent(100.0 * count as f64 / outcomes.due as f64));
    if let Some(code) = field.strip_prefix("status.") {
        let count = class.statuses.get(code).copied();
        return Some(Measured::number(count.unwrap_or(0)));
    }
    match field {
        "due" => Some(Measured::number(outcomes.due)),
        "ok" => Some(Measured::number(outcomes.ok)),
        "bad_status" => Some(Measured::number(outcomes.bad_status)),
        "timeout" => Some(Measured::number(outcomes.timeout)),
        // Neither answered in any way nor still waiting when the load ended.
        "lost" => Some(Measured::number(
            outcomes.timeout + outcomes.connect_failure + outcomes.aborted,
        )),
        // Those of them for whom the server was not there, or not to the end: what a kill costs, and no
        // client whose patience was over.
        "cut_off" => Some(Measured::number(
            outcomes.connect_failure + outcomes.aborted,
        )),
        "failed" => Some(percent(
            outcomes.due - outcomes.ok.min(outcomes.due) - class.unanswered,
        )),
        "unanswered" => Some(percent(class.unanswered)),
        "completed" => Some(Measured::number(class.completed)),
        "throughput" => class
            .throughput_per_second
            .map(|rate| Measured::exact(Value::Number(rate))),
        "little_error" => class
            .little
            .as_ref()
            .map(|little| Measured::exact(Value::Percent(little.error_percent.abs()))),
        // How many of the users have a request in flight, on the average over the hold; of one user,
        // the share of the time in which the server has to do with it.
        "busy" => class.little.as_ref().map(|little| {
            let share = little.waiting / little.users as f64;
            Measured::exact(Value::Percent(100.0 * share))
        }),
        _ => match field.strip_prefix("ok_") {
            Some(field) => distribution(field, &outcomes.response_ok_us),
            None => distribution(field, &outcomes.response_us),
        },
    }
}

fn background(field: &str, background: &Background) -> Option<Measured> {
    let count = match field {
        "pending_end" => background.pending_end?,
        "pending_later" => background.pending_later?,
        "pending_peak" => background.pending_peak,
        "completed" => background.completed,
        "refused" => background.refused,
        "drain" => {
            let drain = background.drain_us?;
            return Some(Measured::exact(Value::Time(drain)));
        }
        _ => return None,
    };
    Some(Measured::number(count))
}

fn hang_ups(field: &str, row: &HangUps) -> Option<Measured> {
    let release = |field| distribution(field, row.release_us.as_ref()?);
    let count = match field {
        "count" => row.sent,
        "reached" => row.reached,
        "first_hanging" => row.first_hanging?,
        "served_after" => row.served_after_first_hanging?,
        "not_released" => row.not_released?,
        "on_fallback" => *row.by_upstream.get(1)?,
        "release_p50" => return release("p50"),
        "release_p99" => return release("p99"),
        "release_max" => return release("max"),
        "first_byte_p99" => return distribution("p99", &row.first_byte_us),
        ending => row.endings.get(ending).copied().unwrap_or(0),
    };
    // Of no request every count is 0, which would satisfy most expectations.
    (row.sent > 0).then(|| Measured::number(count))
}

fn leftover(field: &str, left: &Leftovers) -> Option<u64> {
    match field {
        "upstream" => left.upstream_streams,
        "permits" => left.permits,
        "threads" => left.threads_busy,
        "tasks" => left.tasks,
        "connections" => left.connections,
        "fds" => left.fds,
        _ => None,
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
    use std::collections::BTreeMap;

    use super::*;
    use crate::summary::{Little, Loop};

    #[test]
    fn a_misspelt_metric_is_told_what_there_is() {
        let stream = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/stream.toml");
        let cell = crate::scenario::load(stream, &[])
            .expect("valid")
            .cells
            .remove(0);
        let known = |name: &str| is_known(name, &cell);
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

    /// Seven requests of two users.
    fn class() -> Requests {
        Requests {
            outcomes: Probe {
                due: 7,
                ..Probe::default()
            },
            unanswered: 0,
            arrivals: Loop::Closed,
            path: "/ping".to_owned(),
            users: Some(2),
            offered_per_second: None,
            think_us: 0,
            statuses: BTreeMap::new(),
            completed: 0,
            throughput_per_second: None,
            completed_by_second: Vec::new(),
            little: None,
        }
    }

    #[test]
    fn answers_are_counted_by_status_and_one_is_not_another() {
        let bodies = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../scenarios/large-body.toml"
        );
        let cell = crate::scenario::load(bodies, &[])
            .expect("valid")
            .cells
            .remove(0);
        assert_eq!(is_known("requests.large.status.413", &cell), Ok(()));
        for name in [
            "status.4130",
            "status.0413",
            "status.99",
            "status.teapot",
            "status",
        ] {
            let name = format!("requests.large.{name}");
            assert!(is_known(&name, &cell).is_err(), "{name}");
        }
        let mut class = class();
        class.statuses = [("413".to_owned(), 5), ("500".to_owned(), 2)].into();
        let count = |class: &Requests, code: &str| requests(&format!("status.{code}"), class);
        for (code, answers) in [("413", 5), ("500", 2), ("200", 0)] {
            assert_eq!(
                count(&class, code),
                Some(Measured::number(answers)),
                "{code}"
            );
        }
        class.outcomes.due = 0;
        assert_eq!(count(&class, "413"), None, "nobody asked");
    }

    #[test]
    fn who_waits_in_vain_is_lost_and_not_cut_off() {
        let mut class = class();
        let outcomes = &mut class.outcomes;
        (outcomes.timeout, outcomes.connect_failure, outcomes.aborted) = (4, 2, 1);
        let count = |class: &Requests, field: &str| requests(field, class);
        assert_eq!(count(&class, "lost"), Some(Measured::number(7)));
        assert_eq!(count(&class, "cut_off"), Some(Measured::number(3)));
        (class.outcomes.connect_failure, class.outcomes.aborted) = (0, 0);
        assert_eq!(count(&class, "cut_off"), Some(Measured::number(0)));
        class.outcomes.due = 0;
        assert_eq!(count(&class, "cut_off"), None, "nobody asked");
    }

    #[test]
    fn of_two_users_one_of_whom_always_waits_half_are_busy() {
        let class = Requests {
            little: Some(Little {
                throughput_per_second: 1.0,
                response_us: 1_000_000,
                think_us: 1_000_000,
                users: 2,
                product: 2.0,
                error_percent: 0.0,
                waiting: 1.0,
                whole_response_us: 1_000_000,
                whole_error_percent: 0.0,
            }),
            ..class()
        };
        let half = Measured::exact(Value::Percent(50.0));
        assert_eq!(requests("busy", &class), Some(half));
    }
}
