//! The columns of the tables across cells: a new one is a line here.

use serde::Serialize;

use super::Figure;
use super::figures::Source::{self, Metric, Number};
use super::rows::largest_error;
use crate::metrics::MetricUnit::{self, PerSecond, Percent, Us};
use crate::summary::{Forecast, Little, Summary};

/// One column.
#[derive(Debug)]
pub struct Column {
    /// What it is.
    pub label: &'static str,
    /// The same where there is little room.
    pub short: &'static str,
    /// In which table for a terminal it stands; in none if absent.
    pub part: Option<Part>,
    /// Whether the sign of a figure says something.
    pub is_signed: bool,
    source: Source,
    mark: Option<(Mark, Doubt)>,
}

/// Whether a figure of a run is not to be taken as it stands, given the name of the class.
type Doubt = fn(&Summary, &str) -> bool;

/// A table for a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What users see.
    Requests,
    /// What it costs, and what is left behind.
    Server,
}

/// Why a figure is not to be taken as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// It was not waited for.
    Extrapolated,
    /// The row is no steady state, or answers are missing from it.
    TransientOrCensored,
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// What it is.
    pub label: &'static str,
    /// Unit of the figure.
    pub unit: MetricUnit,
    /// Median and range of the runs.
    pub figure: Figure,
    /// Why the figure is not to be taken as it stands, if so.
    pub mark: Option<Mark>,
    /// The column.
    #[serde(skip)]
    pub column: &'static Column,
}

/// Of what users see.
const fn column(label: &'static str, source: Source) -> Column {
    Column {
        label,
        short: label,
        part: Some(Part::Requests),
        is_signed: false,
        source,
        mark: None,
    }
}

const fn server(label: &'static str, source: Source) -> Column {
    Column {
        part: Some(Part::Server),
        ..column(label, source)
    }
}

/// Of cells with one class of users in a closed loop each.
#[rustfmt::skip]
pub(super) static OF_CELLS: &[Column] = &[
    column("req/s", Metric("requests.<class>.throughput")),
    column("forecast", Number(PerSecond, |run| Some((row(run, "throughput")?.predicted, false)))),
    Column { is_signed: true, ..column("error", Number(Percent, |run| Some((row(run, "throughput")?.error()?, false)))) },
    column("median", Metric("requests.<class>.p50")),
    column("mean", Metric("requests.<class>.mean")),
    column("p95", Metric("requests.<class>.p95")),
    column("failed", Metric("requests.<class>.failed")),
    Column { short: "unansw.", ..column("unanswered", Metric("requests.<class>.unanswered")) },
    Column { is_signed: true, mark: Some((Mark::TransientOrCensored, misses_law)), ..column("Little", Metric("requests.<class>.little_off")) },
    Column { short: "sync", ..server("sync p99", Metric("health_sync.p99")) },
    Column { short: "async", ..server("async p99", Metric("health_async.p99")) },
    server("CPU", Metric("server.cpu_percent")),
    server("RSS", Metric("server.rss_peak_bytes")),
    server("threads", Metric("server.threads_peak")),
    server("pending", Metric("background.pending_end")),
    server("later", Metric("background.pending_later")),
    server("refused", Metric("background.refused")),
    Column { mark: Some((Mark::Extrapolated, is_extrapolated)), ..server("drain", Metric("background.drain")) },
    Column { part: None, ..column("forecast of drain", Number(Us, |run| Some((row(run, "drain")?.predicted, false)))) },
    Column { part: None, ..column("largest forecast error", Number(Percent, largest_error)) },
];

/// Of the classes of requests.
#[rustfmt::skip]
pub(super) static OF_CLASSES: &[Column] = &[
    column("count", Metric("requests.<class>.due")),
    column("min", Metric("requests.<class>.min")),
    column("median", Metric("requests.<class>.p50")),
    column("mean", Metric("requests.<class>.mean")),
    column("p90", Metric("requests.<class>.p90")),
    column("p95", Metric("requests.<class>.p95")),
    column("p99", Metric("requests.<class>.p99")),
    column("max", Metric("requests.<class>.max")),
];

/// Of the phases that a server times.
#[rustfmt::skip]
pub(super) static OF_PHASES: &[Column] = &[
    column("count", Metric("timings.<part>.count")),
    column("median", Metric("timings.<part>.p50")),
    column("mean", Metric("timings.<part>.mean")),
    column("p99", Metric("timings.<part>.p99")),
    column("max", Metric("timings.<part>.max")),
];

/// The figures of a row; `name` stands for `what` in the names of metrics.
pub(super) fn entries(
    columns: &'static [Column],
    (what, name): (&str, &str),
    runs: &[&Summary],
) -> Vec<Entry> {
    let entry = |column: &'static Column| {
        let metric = match column.source {
            Metric(pattern) => pattern.replace(what, name),
            _ => String::new(),
        };
        let is_doubtful = |doubt: Doubt| runs.iter().any(|run| doubt(run, name));
        Entry {
            label: column.label,
            unit: column.source.unit(),
            figure: column.source.figure(&metric, runs),
            mark: column
                .mark
                .and_then(|(mark, doubt)| is_doubtful(doubt).then_some(mark)),
            column,
        }
    };
    columns.iter().map(entry).collect()
}

fn row<'a>(run: &'a Summary, name: &str) -> Option<&'a Forecast> {
    run.forecast.iter().find(|row| row.name == name)
}

fn misses_law(run: &Summary, class: &str) -> bool {
    let class = run.phases.load.requests.get(class);
    let law = class.and_then(|class| class.little.as_ref());
    law.is_some_and(Little::is_missed)
}

fn is_extrapolated(run: &Summary, _: &str) -> bool {
    let background = run.server.background.as_ref();
    background.is_some_and(|background| background.drain_extrapolated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::unit_of;

    #[test]
    fn every_column_is_of_a_metric_that_there_is() {
        for column in OF_CELLS.iter().chain(OF_CLASSES).chain(OF_PHASES) {
            if let Metric(name) = column.source {
                assert!(unit_of(name).is_some(), "{name}");
            }
        }
    }
}
