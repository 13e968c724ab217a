use std::collections::BTreeSet;

use super::table::Table;
use super::{Row, RowUnit};
use crate::summary::{
    Distribution, Forecast, Kind, Little, Probe, State, Summary, Verdict, probe_rank,
};
use crate::units::time;

/// Every row that the runs have figures for.
pub(super) fn rows(columns: &[&[&Summary]], has_invalid: bool) -> Vec<Row> {
    let endpoints = names_of(columns, |summary| summary.phases.load.probes.keys());
    let endpoints_have_sync = endpoints.contains("health_sync");
    let mut table = Table {
        columns,
        has_invalid,
        group: "",
        rows: Vec::new(),
    };
    let mut names: Vec<_> = endpoints.into_iter().collect();
    names.sort_by_key(|name| probe_rank(name));
    let steps = steps_of(columns);
    if steps.is_empty() {
        for name in &names {
            health(&mut table, name);
        }
    } else {
        // What stands for the cell as a whole is that of its last step.
        steps_of_cell(&mut table, &steps, &names);
    }
    if endpoints_have_sync {
        closed_loop(&mut table);
    }
    if steps.is_empty() {
        streams(&mut table);
    }
    requests(&mut table);
    if columns
        .iter()
        .copied()
        .flatten()
        .any(|run| has_background(run))
    {
        background(&mut table);
    }
    hang_ups(&mut table);
    parts_and_sizes(&mut table);
    bulkhead(&mut table);
    kubelet(&mut table);
    server(&mut table);
    verdict(&mut table);
    table.rows
}

fn health(table: &mut Table<'_>, name: &str) {
    let hold = |summary: &Summary| summary.phases.load.probes.get(name).cloned();
    let response = |read: fn(&Distribution) -> (Option<u64>, bool)| {
        move |summary: &Summary| {
            let (value, censored) = read(&hold(summary)?.response_us);
            Some((value? as f64, censored))
        }
    };
    table.group = "health in the hold, from when a check was due";
    table.number(
        format!("{name} p50"),
        RowUnit::Us,
        &response(|figures| (figures.p50, figures.p50_censored)),
    );
    table.number(
        format!("{name} p99"),
        RowUnit::Us,
        &response(|figures| (figures.p99, figures.p99_censored)),
    );
    table.number(
        format!("{name} max"),
        RowUnit::Us,
        &response(|figures| (figures.max, figures.max_censored)),
    );
    table.number(format!("{name} unanswered"), RowUnit::Percent, &|summary| {
        hold(summary)
            .as_ref()
            .and_then(Probe::unanswered_percent)
            .map(|percent| (percent, false))
    });
}

/// The steps that any of the runs has, in order.
fn steps_of(columns: &[&[&Summary]]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for step in columns.iter().copied().flatten().flat_map(|run| &run.steps) {
        if !names.contains(&step.name) {
            names.push(step.name.clone());
        }
    }
    names
}

fn steps_of_cell(table: &mut Table<'_>, steps: &[String], endpoints: &[&str]) {
    table.group = "health in the hold of each step, from when a check was due";
    for step in steps {
        for name in endpoints {
            for (field, unit) in [
                ("p50", RowUnit::Us),
                ("p99", RowUnit::Us),
                ("max", RowUnit::Us),
                ("unanswered", RowUnit::Percent),
            ] {
                let metric = format!("steps.{step}.{name}.{field}");
                table.metric(format!("{step} {name} {field}"), unit, &metric);
            }
        }
        table.text(&format!("{step} diagnosis"), |summary| {
            let step = summary.steps.iter().find(|one| &one.name == step)?;
            Some(step.diagnosis.kind.name().to_owned())
        });
    }
    table.group = "streams of each step, by cohort where their answers name one";
    let cohorts = names_of(table.columns, |summary| {
        let steps = summary.steps.iter();
        steps.flat_map(|step| step.load.streams.cohorts.keys())
    });
    for step in steps {
        for (label, unit, metric) in [
            ("asked for", RowUnit::Count, "streams.started"),
            ("unserved", RowUnit::Count, "streams.unserved"),
            ("lost or refused", RowUnit::Count, "streams.lost"),
            ("TTFT p50", RowUnit::Us, "ttft.p50"),
            ("TTFT p99", RowUnit::Us, "ttft.p99"),
        ] {
            let metric = format!("steps.{step}.{metric}");
            table.metric(format!("{step} {label}"), unit, &metric);
        }
        for cohort in &cohorts {
            for (label, unit, field) in [
                ("served", RowUnit::Count, "served"),
                ("unserved", RowUnit::Count, "unserved"),
                ("TTFT p50", RowUnit::Us, "ttft_p50"),
                ("TTFT p99", RowUnit::Us, "ttft_p99"),
            ] {
                let metric = format!("steps.{step}.cohort.{cohort}.{field}");
                table.metric(format!("{step} {cohort} {label}"), unit, &metric);
            }
        }
    }
}

/// Both over the same time, so that the difference is the way of measuring and nothing else.
fn closed_loop(table: &mut Table<'_>) {
    table.group = "health_sync, baseline to recovery: closed-loop probe, and the truth";
    let lie = |summary: &Summary| summary.closed_loop.get("health_sync").cloned();
    table.number("closed loop p50", RowUnit::Us, &|summary| {
        Some((lie(summary)?.service_us.p50? as f64, false))
    });
    table.number("closed loop p99", RowUnit::Us, &|summary| {
        Some((lie(summary)?.service_us.p99? as f64, false))
    });
    table.number("closed loop: checks", RowUnit::Count, &|summary| {
        Some((lie(summary)?.sent as f64, false))
    });
    table.number("closed loop: dropped", RowUnit::Count, &|summary| {
        Some((lie(summary)?.dropped as f64, false))
    });
    table.number("open loop p50", RowUnit::Us, &|summary| {
        let figures = lie(summary)?.open_loop_us;
        Some((figures.p50? as f64, figures.p50_censored))
    });
    table.number("open loop p99", RowUnit::Us, &|summary| {
        let figures = lie(summary)?.open_loop_us;
        Some((figures.p99? as f64, figures.p99_censored))
    });
    table.number("open loop unanswered", RowUnit::Percent, &|summary| {
        Some((lie(summary)?.open_loop_unanswered_percent?, false))
    });
}

fn streams(table: &mut Table<'_>) {
    table.group = "streams";
    table.metric("asked for", RowUnit::Count, "streams.started");
    table.metric("served at once", RowUnit::Count, "streams.served_peak");
    table.metric("unserved", RowUnit::Count, "streams.unserved");
    table.metric("lost or refused", RowUnit::Count, "streams.lost");
    table.metric("TTFT p50", RowUnit::Us, "ttft.p50");
    table.metric("TTFT p99", RowUnit::Us, "ttft.p99");
    table.metric("largest gap", RowUnit::Us, "max_gap.max");
}

fn requests(table: &mut Table<'_>) {
    table.group = "requests of ramp and hold, from when each was due";
    for class in names_of(table.columns, |summary| summary.phases.load.requests.keys()) {
        for (label, unit, field) in [
            ("requests", RowUnit::Count, "due"),
            ("answered, per s", RowUnit::PerSecond, "throughput"),
            ("p50", RowUnit::Us, "p50"),
            ("mean", RowUnit::Us, "mean"),
            ("p90", RowUnit::Us, "p90"),
            ("p95", RowUnit::Us, "p95"),
            ("p99", RowUnit::Us, "p99"),
            ("max", RowUnit::Us, "max"),
            ("p99 of the answered", RowUnit::Us, "ok_p99"),
            ("failed", RowUnit::Percent, "failed"),
            ("unanswered", RowUnit::Percent, "unanswered"),
            ("timed out", RowUnit::Count, "timeout"),
            ("cut off", RowUnit::Count, "cut_off"),
            ("misses Little's law by", RowUnit::Percent, "little_error"),
        ] {
            table.metric(
                format!("{class} {label}"),
                unit,
                &format!("requests.{class}.{field}"),
            );
        }
        let little = |summary: &Summary| summary.phases.load.requests.get(class)?.little.clone();
        table.text(&format!("{class} Little's law"), |summary| {
            little(summary).map(|little| lint(&little).to_owned())
        });
        table.drop_if_missing();
    }
}

/// What Little's law says of a row.
pub(super) fn lint(little: &Little) -> &'static str {
    if little.is_missed() {
        "transient or censored"
    } else {
        "met"
    }
}

/// A server has the gauge whether the cell has to do with it or not.
fn has_background(summary: &Summary) -> bool {
    let background = summary.server.background.as_ref();
    background.is_some_and(|seen| seen.pending_peak + seen.completed + seen.refused > 0)
}

fn background(table: &mut Table<'_>) {
    table.group = "background tasks";
    for (label, unit, field) in [
        ("pending at the end", RowUnit::Count, "pending_end"),
        ("pending later", RowUnit::Count, "pending_later"),
        ("pending at most", RowUnit::Count, "pending_peak"),
        ("completed", RowUnit::Count, "completed"),
        ("refused", RowUnit::Count, "refused"),
        ("until drained", RowUnit::Us, "drain"),
    ] {
        table.metric(label, unit, &format!("background.{field}"));
    }
    let background = |summary: &Summary| summary.server.background.clone();
    table.text("looked at again after", |summary| {
        Some(time(background(summary)?.later_us? as f64))
    });
    table.drop_if_missing();
    table.text("drain", |summary| {
        let background = background(summary)?;
        background.drain_us?;
        let how = if background.drain_extrapolated {
            "extrapolated"
        } else {
            "watched"
        };
        Some(how.to_owned())
    });
    table.drop_if_missing();
}

fn hang_ups(table: &mut Table<'_>) {
    table.group = "clients that hang up, and what they leave behind";
    for (label, unit, metric) in [
        ("requests", RowUnit::Count, "hang_ups.count"),
        ("reached their stage", RowUnit::Count, "hang_ups.reached"),
        ("hanging", RowUnit::Count, "hang_ups.hanging"),
        ("first to hang", RowUnit::Count, "hang_ups.first_hanging"),
        ("served after it", RowUnit::Count, "hang_ups.served_after"),
        ("release p50", RowUnit::Us, "hang_ups.release_p50"),
        ("release p99", RowUnit::Us, "hang_ups.release_p99"),
        ("release max", RowUnit::Us, "hang_ups.release_max"),
        (
            "left: upstream streams",
            RowUnit::Count,
            "leftover.upstream",
        ),
        ("left: permits", RowUnit::Count, "leftover.permits"),
        ("left: busy threads", RowUnit::Count, "leftover.threads"),
        ("left: tasks", RowUnit::Count, "leftover.tasks"),
        ("left: connections", RowUnit::Count, "leftover.connections"),
        ("left: open files", RowUnit::Count, "leftover.fds"),
    ] {
        table.metric(label, unit, metric);
    }
}

/// By the server's own clock and count, where it has gauges for them.
fn parts_and_sizes(table: &mut Table<'_>) {
    table.group = "parts of a request, by the server's own clock";
    for part in names_of(table.columns, |summary| summary.server.timings.keys()) {
        for field in ["p50", "p99", "max"] {
            let name = format!("timings.{part}.{field}");
            table.metric(format!("{part} {field}"), RowUnit::Us, &name);
        }
    }
    table.group = "sizes of request bodies, by client";
    for client in names_of(table.columns, |summary| summary.server.sizes.keys()) {
        let buckets: BTreeSet<&str> = table
            .columns
            .iter()
            .copied()
            .flatten()
            .filter_map(|summary| summary.server.sizes.get(client))
            .flat_map(|sizes| sizes.iter().filter(|&(_, &count)| count > 0))
            .map(|(bucket, _)| bucket.as_str())
            .filter(|&bucket| bucket != "count")
            .collect();
        for bucket in buckets {
            table.number(format!("{client} {bucket}"), RowUnit::Count, &|summary| {
                let count = *summary.server.sizes.get(client)?.get(bucket)?;
                Some((count as f64, false))
            });
        }
    }
}

fn bulkhead(table: &mut Table<'_>) {
    table.group = "bulkhead, by the server's own count";
    table.metric("jobs, per s", RowUnit::PerSecond, "bulkhead.throughput");
    table.metric("jobs refused", RowUnit::Count, "bulkhead.refused");
    table.metric("most queued", RowUnit::Count, "bulkhead.queued_peak");
    table.metric("longest wait", RowUnit::Us, "bulkhead.queue_wait_max");
}

fn kubelet(table: &mut Table<'_>) {
    table.group = "kubelet";
    for (label, unit, field) in [
        ("restarts", RowUnit::Count, "restarts"),
        ("first kill after", RowUnit::Us, "first_kill"),
        ("down, in all", RowUnit::Us, "down"),
        ("liveness failed", RowUnit::Count, "liveness_failed"),
        ("readiness failed", RowUnit::Count, "readiness_failed"),
        ("not ready", RowUnit::Percent, "unready"),
    ] {
        table.metric(label, unit, &format!("kubelet.{field}"));
    }
}

/// The names that any of the runs has.
fn names_of<'a, I: Iterator<Item = &'a String>>(
    columns: &'a [&'a [&'a Summary]],
    names: impl Fn(&'a Summary) -> I,
) -> BTreeSet<&'a str> {
    columns
        .iter()
        .copied()
        .flatten()
        .flat_map(|summary| names(summary))
        .map(String::as_str)
        .collect()
}

fn server(table: &mut Table<'_>) {
    table.group = "server";
    let pool = |summary: &Summary| summary.server.pool.clone();
    table.number("pool busy", RowUnit::Percent, &|summary| {
        Some((pool(summary)?.busy_percent?, false))
    });
    table.number("longest queue wait", RowUnit::Us, &|summary| {
        Some((pool(summary)?.oldest_wait_us_peak as f64, false))
    });
    table.number("threads", RowUnit::Count, &|summary| {
        Some((summary.server.threads_peak? as f64, false))
    });
    table.number("RSS", RowUnit::Bytes, &|summary| {
        Some((summary.server.rss_peak_bytes? as f64, false))
    });
    table.metric("RSS at the end", RowUnit::Bytes, "server.rss_end_bytes");
    table.number("CPU, of one core", RowUnit::Percent, &|summary| {
        Some((summary.server.cpu_percent?, false))
    });
    table.number("time to recover", RowUnit::Us, &|summary| {
        let recovery = &summary.phases.recovery;
        match recovery.time_to_recover_us {
            Some(us) => Some((us as f64, false)),
            None if summary.state == State::Complete => Some((recovery.duration_us as f64, true)),
            None => None,
        }
    });
}

fn verdict(table: &mut Table<'_>) {
    table.group = "verdict";
    table.number("largest forecast error", RowUnit::Percent, &|summary| {
        let errors = summary.forecast.iter().filter_map(Forecast::error);
        errors
            .map(f64::abs)
            .max_by(f64::total_cmp)
            .map(|error| (error, false))
    });
    table.number("forecasts refuted", RowUnit::Count, &|summary| {
        let is_refuted = |row: &&Forecast| row.verdict == Some(Verdict::Refuted);
        (!summary.forecast.is_empty()).then(|| {
            (
                summary.forecast.iter().filter(is_refuted).count() as f64,
                false,
            )
        })
    });
    table.text("diagnosis", |summary| {
        Some(summary.diagnosis.kind.name().to_owned())
    });
    table.text("inferred capacity", |summary| {
        let pool = summary.diagnosis.kind != Kind::Healthy;
        summary
            .diagnosis
            .inferred_capacity
            .filter(|_| pool)
            .map(|capacity| capacity.to_string())
    });
    table.text("expectations", |summary| {
        let held = summary
            .expectations
            .iter()
            .filter(|outcome| outcome.held)
            .count();
        let all = summary.expectations.len();
        (all > 0).then(|| format!("{held} of {all} held"))
    });
}
