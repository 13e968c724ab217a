//! The rows of the table of one cell: a new one is a line here.

use std::collections::BTreeSet;

use serde::Serialize;

use super::chosen::Chosen;
use super::figures::Source::{self, Metric, Number, Words};
use super::spread::{Figure, Spread};
use crate::metrics::MetricUnit::{self, Count, Percent, Us};
use crate::summary::{Forecast, Kind, State, Summary, Verdict, probe_rank};
use crate::units::time;

/// One figure of each variant.
#[derive(Clone, Debug, Serialize)]
pub struct ComparisonRow {
    /// What it is.
    pub label: String,
    /// Rows of one group belong together.
    pub group: &'static str,
    /// Unit of the values.
    pub unit: MetricUnit,
    /// One for each variant.
    pub values: Vec<Figure>,
    /// First variant over the second, run by run, where both are exact numbers.
    pub ratio: Option<Spread>,
}

/// Rows under one heading.
struct Section {
    heading: &'static str,
    /// What there is a row for each of: classes, parts and so on.
    places: fn(&[&Summary]) -> Vec<Place>,
    lines: &'static [Line],
}

struct Line {
    label: &'static str,
    source: Source,
    /// Whether it stands there even if no run has the figure.
    is_kept: bool,
}

const fn line(label: &'static str, source: Source) -> Line {
    Line {
        label,
        source,
        is_kept: false,
    }
}

const fn kept(label: &'static str, source: Source) -> Line {
    Line {
        is_kept: true,
        ..line(label, source)
    }
}

/// What stands in the names of metrics for each `<…>`, and before the labels of their rows.
#[derive(Default)]
struct Place {
    label: String,
    names: Vec<(&'static str, String)>,
}

impl Place {
    fn of(names: &[(&'static str, &str)]) -> Self {
        let words: Vec<_> = names.iter().map(|&(_, name)| name).collect();
        let names = names.iter().map(|&(what, name)| (what, name.to_owned()));
        Self {
            label: words.join(" "),
            names: names.collect(),
        }
    }

    /// The name of the metric here; `None` if it is about more than this place, or about less.
    fn name(&self, source: &Source) -> Option<String> {
        let Metric(pattern) = source else {
            return Some(String::new());
        };
        let is_about_all = self.names.iter().all(|(what, _)| pattern.contains(what));
        let mut name = (*pattern).to_owned();
        for (what, word) in &self.names {
            name = name.replace(what, word);
        }
        (is_about_all && !name.contains('<')).then_some(name)
    }
}

#[rustfmt::skip]
const SECTIONS: &[Section] = &[
    Section { heading: "health in the hold, from when a check was due", places: endpoints, lines: &[
        kept("p50", Metric("<endpoint>.p50")),
        kept("p99", Metric("<endpoint>.p99")),
        kept("max", Metric("<endpoint>.max")),
        kept("unanswered", Metric("<endpoint>.unanswered")),
    ] },
    Section { heading: "health in the hold of each step, from when a check was due", places: endpoints_of_steps, lines: &[
        line("p50", Metric("steps.<step>.<endpoint>.p50")),
        line("p99", Metric("steps.<step>.<endpoint>.p99")),
        line("max", Metric("steps.<step>.<endpoint>.max")),
        line("unanswered", Metric("steps.<step>.<endpoint>.unanswered")),
        kept("diagnosis", Metric("steps.<step>.diagnosis")),
    ] },
    Section { heading: "streams of each step, by cohort where their answers name one", places: cohorts_of_steps, lines: &[
        line("asked for", Metric("steps.<step>.streams.started")),
        line("unserved", Metric("steps.<step>.streams.unserved")),
        line("lost or refused", Metric("steps.<step>.streams.lost")),
        line("TTFT p50", Metric("steps.<step>.ttft.p50")),
        line("TTFT p99", Metric("steps.<step>.ttft.p99")),
        line("served", Metric("steps.<step>.cohort.<cohort>.served")),
        line("unserved", Metric("steps.<step>.cohort.<cohort>.unserved")),
        line("TTFT p50", Metric("steps.<step>.cohort.<cohort>.ttft_p50")),
        line("TTFT p99", Metric("steps.<step>.cohort.<cohort>.ttft_p99")),
    ] },
    // Both over the same time, so that the difference is the way of measuring and nothing else.
    Section { heading: "health_sync, baseline to recovery: closed-loop probe, and the truth", places: closed_loop, lines: &[
        kept("closed loop p50", Metric("closed_loop.health_sync.p50")),
        kept("closed loop p99", Metric("closed_loop.health_sync.p99")),
        kept("closed loop: checks", Metric("closed_loop.health_sync.sent")),
        kept("closed loop: dropped", Metric("closed_loop.health_sync.dropped")),
        kept("open loop p50", Metric("closed_loop.health_sync.open_p50")),
        kept("open loop p99", Metric("closed_loop.health_sync.open_p99")),
        kept("open loop unanswered", Metric("closed_loop.health_sync.open_unanswered")),
    ] },
    Section { heading: "streams", places: streams, lines: &[
        line("asked for", Metric("streams.started")),
        line("served at once", Metric("streams.served_peak")),
        line("unserved", Metric("streams.unserved")),
        line("lost or refused", Metric("streams.lost")),
        line("TTFT p50", Metric("ttft.p50")),
        line("TTFT p99", Metric("ttft.p99")),
        line("largest gap", Metric("max_gap.max")),
    ] },
    Section { heading: "requests of ramp and hold, from when each was due", places: classes, lines: &[
        line("requests", Metric("requests.<class>.due")),
        line("answered, per s", Metric("requests.<class>.throughput")),
        line("p50", Metric("requests.<class>.p50")),
        line("mean", Metric("requests.<class>.mean")),
        line("p90", Metric("requests.<class>.p90")),
        line("p95", Metric("requests.<class>.p95")),
        line("p99", Metric("requests.<class>.p99")),
        line("max", Metric("requests.<class>.max")),
        line("p99 of the answered", Metric("requests.<class>.ok_p99")),
        line("failed", Metric("requests.<class>.failed")),
        line("unanswered", Metric("requests.<class>.unanswered")),
        line("timed out", Metric("requests.<class>.timeout")),
        line("cut off", Metric("requests.<class>.cut_off")),
        line("misses Little's law by", Metric("requests.<class>.little_error")),
        line("Little's law", Metric("requests.<class>.little")),
    ] },
    Section { heading: "background tasks", places: background, lines: &[
        line("pending at the end", Metric("background.pending_end")),
        line("pending later", Metric("background.pending_later")),
        line("pending at most", Metric("background.pending_peak")),
        line("completed", Metric("background.completed")),
        line("refused", Metric("background.refused")),
        line("until drained", Metric("background.drain")),
        line("looked at again after", Words(|run| Some(time(run.server.background.as_ref()?.later_us? as f64)))),
        line("drain", Words(drain)),
    ] },
    Section { heading: "clients that hang up, and what they leave behind", places: once, lines: &[
        line("requests", Metric("hang_ups.count")),
        line("reached their stage", Metric("hang_ups.reached")),
        line("hanging", Metric("hang_ups.hanging")),
        line("first to hang", Metric("hang_ups.first_hanging")),
        line("served after it", Metric("hang_ups.served_after")),
        line("release p50", Metric("hang_ups.release_p50")),
        line("release p99", Metric("hang_ups.release_p99")),
        line("release max", Metric("hang_ups.release_max")),
        line("left: upstream streams", Metric("leftover.upstream")),
        line("left: permits", Metric("leftover.permits")),
        line("left: busy threads", Metric("leftover.threads")),
        line("left: tasks", Metric("leftover.tasks")),
        line("left: connections", Metric("leftover.connections")),
        line("left: open files", Metric("leftover.fds")),
    ] },
    Section { heading: "parts of a request, by the server's own clock", places: parts, lines: &[
        line("p50", Metric("timings.<part>.p50")),
        line("p99", Metric("timings.<part>.p99")),
        line("max", Metric("timings.<part>.max")),
    ] },
    Section { heading: "sizes of request bodies, by client", places: sizes, lines: &[
        line("", Metric("sizes.<client>.<bucket>")),
    ] },
    Section { heading: "bulkhead, by the server's own count", places: once, lines: &[
        line("jobs, per s", Metric("bulkhead.throughput")),
        line("jobs refused", Metric("bulkhead.refused")),
        line("most queued", Metric("bulkhead.queued_peak")),
        line("longest wait", Metric("bulkhead.queue_wait_max")),
    ] },
    Section { heading: "kubelet", places: once, lines: &[
        line("restarts", Metric("kubelet.restarts")),
        line("first kill after", Metric("kubelet.first_kill")),
        line("down, in all", Metric("kubelet.down")),
        line("liveness failed", Metric("kubelet.liveness_failed")),
        line("readiness failed", Metric("kubelet.readiness_failed")),
        line("not ready", Metric("kubelet.unready")),
    ] },
    Section { heading: "server", places: once, lines: &[
        kept("pool busy", Metric("pool.busy_percent")),
        kept("longest queue wait", Metric("pool.queue_wait_max")),
        kept("threads", Metric("server.threads_peak")),
        kept("RSS", Metric("server.rss_peak_bytes")),
        line("RSS at the end", Metric("server.rss_end_bytes")),
        kept("CPU, of one core", Metric("server.cpu_percent")),
        kept("time to recover", Number(Us, time_to_recover)),
    ] },
    Section { heading: "verdict", places: once, lines: &[
        kept("largest forecast error", Number(Percent, largest_error)),
        kept("forecasts refuted", Number(Count, refuted)),
        kept("diagnosis", Metric("diagnosis")),
        kept("inferred capacity", Words(capacity)),
        kept("expectations", Words(expectations)),
    ] },
];

/// Every row that the runs have figures for.
pub(super) fn rows(chosen: &[Chosen<'_>]) -> Vec<ComparisonRow> {
    let columns: Vec<_> = chosen.iter().map(|one| one.used.as_slice()).collect();
    let has_invalid = chosen.iter().any(|one| one.repeats.is_invalid);
    let all: Vec<_> = columns.concat();
    let mut rows = Vec::new();
    for section in SECTIONS {
        for place in (section.places)(&all) {
            for line in section.lines {
                let Some(name) = place.name(&line.source) else {
                    continue;
                };
                let figures = columns.iter().map(|runs| line.source.figure(&name, runs));
                let values: Vec<_> = figures.collect();
                if !line.is_kept && values.iter().all(|value| *value == Figure::Missing) {
                    continue;
                }
                rows.push(ComparisonRow {
                    label: format!("{} {}", place.label, line.label).trim().to_owned(),
                    group: section.heading,
                    unit: line.source.unit(),
                    values,
                    ratio: line.source.ratio(&name, &columns).filter(|_| !has_invalid),
                });
            }
        }
    }
    rows
}

fn once(_: &[&Summary]) -> Vec<Place> {
    vec![Place::default()]
}

fn once_if(is_there: bool) -> Vec<Place> {
    is_there.then(Place::default).into_iter().collect()
}

fn places_of<'a>(what: &'static str, names: impl IntoIterator<Item = &'a String>) -> Vec<Place> {
    let places = names.into_iter().map(|name| Place::of(&[(what, name)]));
    places.collect()
}

/// The names that any of the runs has, sorted.
fn names_of<'a, I: Iterator<Item = &'a String>>(
    runs: &[&'a Summary],
    names: impl Fn(&'a Summary) -> I,
) -> BTreeSet<&'a String> {
    runs.iter().flat_map(|run| names(run)).collect()
}

fn checked<'a>(runs: &[&'a Summary]) -> Vec<&'a String> {
    let names = names_of(runs, |run| run.phases.load.probes.keys());
    let mut names: Vec<_> = names.into_iter().collect();
    names.sort_by_key(|name| probe_rank(name));
    names
}

/// In order.
fn steps<'a>(runs: &[&'a Summary]) -> Vec<&'a String> {
    let mut names: Vec<&String> = Vec::new();
    for step in runs.iter().flat_map(|run| &run.steps) {
        if !names.contains(&&step.name) {
            names.push(&step.name);
        }
    }
    names
}

/// Of a cell with steps, what stands for it as a whole is that of its last step.
fn endpoints(runs: &[&Summary]) -> Vec<Place> {
    let is_whole = steps(runs).is_empty();
    places_of("<endpoint>", checked(runs).into_iter().filter(|_| is_whole))
}

/// Each step, and each step with each of `names`.
fn of_steps(
    runs: &[&Summary],
    what: &'static str,
    names: &[&String],
    is_first: bool,
) -> Vec<Place> {
    let of_step = |step: &String| {
        let each = names.iter();
        let mut places: Vec<_> = each
            .map(|name| Place::of(&[("<step>", step), (what, name)]))
            .collect();
        let at = if is_first { 0 } else { places.len() };
        places.insert(at, Place::of(&[("<step>", step)]));
        places
    };
    steps(runs).into_iter().flat_map(of_step).collect()
}

fn endpoints_of_steps(runs: &[&Summary]) -> Vec<Place> {
    of_steps(runs, "<endpoint>", &checked(runs), false)
}

fn cohorts_of_steps(runs: &[&Summary]) -> Vec<Place> {
    let steps = runs.iter().flat_map(|run| &run.steps);
    let cohorts: BTreeSet<_> = steps
        .flat_map(|step| step.load.streams.cohorts.keys())
        .collect();
    of_steps(
        runs,
        "<cohort>",
        &cohorts.into_iter().collect::<Vec<_>>(),
        true,
    )
}

fn closed_loop(runs: &[&Summary]) -> Vec<Place> {
    once_if(checked(runs).iter().any(|name| *name == "health_sync"))
}

fn streams(runs: &[&Summary]) -> Vec<Place> {
    once_if(steps(runs).is_empty())
}

fn classes(runs: &[&Summary]) -> Vec<Place> {
    let names = names_of(runs, |run| run.phases.load.requests.keys());
    places_of("<class>", names)
}

/// A server has the gauge whether the cell has to do with it or not.
fn background(runs: &[&Summary]) -> Vec<Place> {
    let mut seen = runs.iter().filter_map(|run| run.server.background.as_ref());
    once_if(seen.any(|seen| seen.pending_peak + seen.completed + seen.refused > 0))
}

fn parts(runs: &[&Summary]) -> Vec<Place> {
    places_of("<part>", names_of(runs, |run| run.server.timings.keys()))
}

fn sizes(runs: &[&Summary]) -> Vec<Place> {
    let clients = runs.iter().flat_map(|run| &run.server.sizes);
    let seen: BTreeSet<_> = clients
        .flat_map(|(client, buckets)| buckets.iter().map(move |bucket| (client, bucket)))
        .filter(|(_, (name, count))| **count > 0 && *name != "count")
        .map(|(client, (bucket, _))| (client, bucket))
        .collect();
    let place = |(client, bucket): (&String, &String)| {
        Place::of(&[("<client>", client), ("<bucket>", bucket)])
    };
    seen.into_iter().map(place).collect()
}

fn drain(run: &Summary) -> Option<String> {
    let background = run.server.background.as_ref()?;
    background.drain_us?;
    let how = if background.drain_extrapolated {
        "extrapolated"
    } else {
        "watched"
    };
    Some(how.to_owned())
}

/// Where health was not back at the end of the cell, it took longer than that.
fn time_to_recover(run: &Summary) -> Option<(f64, bool)> {
    let recovery = &run.phases.recovery;
    match recovery.time_to_recover_us {
        Some(us) => Some((us as f64, false)),
        None if run.state == State::Complete => Some((recovery.duration_us as f64, true)),
        None => None,
    }
}

pub(super) fn largest_error(run: &Summary) -> Option<(f64, bool)> {
    let errors = run.forecast.iter().filter_map(Forecast::error);
    Some((errors.map(f64::abs).max_by(f64::total_cmp)?, false))
}

fn refuted(run: &Summary) -> Option<(f64, bool)> {
    let is_refuted = |row: &&Forecast| row.verdict == Some(Verdict::Refuted);
    let refuted = run.forecast.iter().filter(is_refuted).count();
    (!run.forecast.is_empty()).then_some((refuted as f64, false))
}

fn capacity(run: &Summary) -> Option<String> {
    let is_limited = run.diagnosis.kind != Kind::Healthy;
    let capacity = run.diagnosis.inferred_capacity.filter(|_| is_limited);
    capacity.map(|capacity| capacity.to_string())
}

fn expectations(run: &Summary) -> Option<String> {
    let held = run
        .expectations
        .iter()
        .filter(|outcome| outcome.held)
        .count();
    let all = run.expectations.len();
    (all > 0).then(|| format!("{held} of {all} held"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::unit_of;

    #[test]
    fn every_row_is_of_a_metric_that_there_is() {
        for line in SECTIONS.iter().flat_map(|section| section.lines) {
            if let Metric(name) = line.source {
                assert!(unit_of(name).is_some(), "{name}");
            }
        }
    }
}
