//! What does not belong to a kind of load.

use super::metric::Read::{Bytes, Count, Figures, Flag, PerSecond, Percent, Time, Word};
use super::metric::{Group, Names, metric};
use crate::judge::flat;
use crate::summary::{Background, Bulkhead, ClosedLoop, Member, Pool, Probe, Summary, Timing};

fn hold<'a>(run: &'a Summary, at: &[&str]) -> Option<&'a Probe> {
    run.phases.load.probes.get(*at.first()?)
}

fn baseline<'a>(run: &'a Summary, at: &[&str]) -> Option<&'a Probe> {
    hold(run, at).and(run.phases.baseline.probes.get(*at.first()?))
}

fn least_checks(run: &Summary) -> u64 {
    match run.attach {
        Some(_) => flat::LEAST_CHECKS_OF_TARGET,
        None => flat::LEAST_CHECKS,
    }
}

fn closed_loop<'a>(run: &'a Summary, at: &[&str]) -> Option<&'a ClosedLoop> {
    run.closed_loop.get(*at.first()?)
}

/// Health checks. Their figures are those of the hold.
#[rustfmt::skip]
pub const CHECKS: Group = Group {
    title: "Health checks, in the hold",
    needs: "[probe]",
    names: |asked| Names::Of(asked.cell.endpoint_names()),
    metrics: &[
        metric("<endpoint>.<figure>", "from when a check was due to its answer, all outcomes; of fewer than 100 checks p99 is the maximum", Figures(|run, at| Some(&hold(run, at)?.response_us))),
        metric("<endpoint>.unanswered", "share of the checks that were not answered with success", Percent(|run, at| hold(run, at)?.unanswered_percent())),
        metric("<endpoint>.flat", "whether p99 stayed within three times that of the baseline, or 10 ms", Flag(|run, at| flat::is_flat(baseline(run, at)?, hold(run, at)?, least_checks(run)))),
        metric("<endpoint>.due", "checks that the plan had", Count(|run, at| Some(hold(run, at)?.due))),
        metric("<endpoint>.ok", "checks that were answered with success", Count(|run, at| Some(hold(run, at)?.ok))),
        metric("<endpoint>.baseline_<figure>", "the same time before the load", Figures(|run, at| Some(&baseline(run, at)?.response_us))),
    ],
};

/// What another way of measuring would have said of the same checks, from baseline to recovery.
#[rustfmt::skip]
pub const CLOSED_LOOP: Group = Group {
    title: "Health checks, baseline to recovery: a probe that waits for each answer and drops timeouts, and the truth",
    needs: "[probe]",
    names: |asked| Names::Of(asked.cell.endpoint_names()),
    metrics: &[
        metric("closed_loop.<endpoint>.<figure>", "what such a probe would have reported", Figures(|run, at| Some(&closed_loop(run, at)?.service_us))),
        metric("closed_loop.<endpoint>.sent", "checks that such a probe would have sent", Count(|run, at| Some(closed_loop(run, at)?.sent))),
        metric("closed_loop.<endpoint>.dropped", "checks that such a probe would have dropped", Count(|run, at| Some(closed_loop(run, at)?.dropped))),
        metric("closed_loop.<endpoint>.open_<figure>", "the same time, from when a check was due and with nothing dropped", Figures(|run, at| Some(&closed_loop(run, at)?.open_loop_us))),
        metric("closed_loop.<endpoint>.open_unanswered", "share of all checks that were not answered with success", Percent(|run, at| closed_loop(run, at)?.open_loop_unanswered_percent)),
    ],
};

fn pool(run: &Summary) -> Option<&Pool> {
    run.server.pool.as_ref()
}

fn bulkhead(run: &Summary) -> Option<&Bulkhead> {
    run.server.bulkhead.as_ref()
}

fn background(run: &Summary) -> Option<&Background> {
    run.server.background.as_ref()
}

/// Whom a server has its gauges of.
#[rustfmt::skip]
pub const POOLS: Group = Group {
    title: "The server's threads and tasks, by its own gauges",
    needs: "",
    names: |_| Names::Any,
    metrics: &[
        metric("pool.capacity", "threads that the blocking pool may have", Count(|run, _| Some(pool(run)?.capacity))),
        metric("pool.busy_peak", "most threads busy at once", Count(|run, _| Some(pool(run)?.busy_peak))),
        metric("pool.queued_peak", "most jobs queued at once", Count(|run, _| Some(pool(run)?.queued_peak))),
        metric("pool.busy_percent", "thread time in use in the hold, of what the capacity allows", Percent(|run, _| pool(run)?.busy_percent)),
        metric("pool.queue_wait_max", "longest that a job had waited in the queue", Time(|run, _| Some(pool(run)?.oldest_wait_us_peak))),
        metric("bulkhead.capacity", "threads that the bulkhead may have", Count(|run, _| Some(bulkhead(run)?.capacity))),
        metric("bulkhead.queue_limit", "places in its queue", Count(|run, _| bulkhead(run)?.queue_limit)),
        metric("bulkhead.busy_peak", "most of its threads busy at once", Count(|run, _| Some(bulkhead(run)?.busy_peak))),
        metric("bulkhead.queued_peak", "most of its jobs queued at once", Count(|run, _| Some(bulkhead(run)?.queued_peak))),
        metric("bulkhead.queue_wait_max", "longest that a job was seen to have waited in its queue", Time(|run, _| Some(bulkhead(run)?.oldest_wait_us_peak))),
        metric("bulkhead.queue_growth", "by how much its queue grew in the hold", PerSecond(|run, _| bulkhead(run)?.queue_growth_per_second)),
        metric("bulkhead.refused", "jobs that it refused, over the whole cell", Count(|run, _| Some(bulkhead(run)?.refused))),
        metric("bulkhead.throughput", "jobs that it completed in the hold", PerSecond(|run, _| bulkhead(run)?.completed_per_second)),
        metric("background.pending_end", "tasks that go on after their response: not finished at the end of the load", Count(|run, _| background(run)?.pending_end)),
        metric("background.pending_later", "the same a minute later, or when the cell ended", Count(|run, _| background(run)?.pending_later)),
        metric("background.pending_peak", "most tasks pending at once", Count(|run, _| Some(background(run)?.pending_peak))),
        metric("background.drain", "from the end of the load until no task is pending", Time(|run, _| background(run)?.drain_us)),
        metric("background.refused", "tasks refused by the end of the cell", Count(|run, _| Some(background(run)?.refused))),
        metric("background.completed", "tasks finished by the end of the cell", Count(|run, _| Some(background(run)?.completed))),
    ],
};

fn timing<'a>(run: &'a Summary, at: &[&str]) -> Option<&'a Timing> {
    run.server.timings.get(*at.first()?)
}

/// A part that nothing went through took no time.
fn timed<'a>(run: &'a Summary, at: &[&str]) -> Option<&'a Timing> {
    timing(run, at).filter(|timing| timing.count > 0)
}

/// The process. Which parts of a request it times is its own affair.
#[rustfmt::skip]
pub const SERVER: Group = Group {
    title: "The server's process",
    needs: "",
    names: |_| Names::Any,
    metrics: &[
        metric("server.rss_peak_bytes", "largest resident memory", Bytes(|run, _| run.server.rss_peak_bytes)),
        metric("server.rss_end_bytes", "resident memory at the end of the cell", Bytes(|run, _| run.server.rss_end_bytes)),
        metric("server.threads_peak", "most threads at once", Count(|run, _| run.server.threads_peak)),
        metric("server.fds_peak", "most open files at once", Count(|run, _| run.server.fds_peak)),
        metric("server.cpu_percent", "CPU time in the hold, of one core", Percent(|run, _| run.server.cpu_percent)),
        metric("timings.<part>.count", "how often a part of a request was gone through, by the server's own clock", Count(|run, at| Some(timing(run, at)?.count))),
        metric("timings.<part>.p50", "median of how long the part took", Time(|run, at| Some(timed(run, at)?.p50_us))),
        metric("timings.<part>.p99", "99th percentile of it", Time(|run, at| Some(timed(run, at)?.p99_us))),
        metric("timings.<part>.max", "longest of it", Time(|run, at| Some(timed(run, at)?.max_us))),
        metric("timings.<part>.mean", "mean of it", Time(|run, at| Some(timed(run, at)?.mean_us))),
        metric("sizes.<client>.<bucket>", "request bodies of a client that are of such a size", Count(|run, at| run.server.sizes.get(*at.first()?)?.get(*at.get(1)?).copied())),
    ],
};

/// How far a forecast was off.
#[rustfmt::skip]
pub const FORECAST: Group = Group {
    title: "Forecasts",
    needs: "a variant that theory says something of",
    names: |asked| match asked.forecasts {
        [] => Names::None,
        rows => Names::Of(rows.to_vec()),
    },
    metrics: &[
        metric("forecast.<row>.error", "by how much the measurement differs from the forecast; 0 % if 0 was forecast and 0 was measured", Percent(|run, at| forecast_error(run, at.first()?))),
    ],
};

fn forecast_error(run: &Summary, name: &str) -> Option<f64> {
    let row = run.forecast.iter().find(|row| row.name == name)?;
    if row.is_met_zero() {
        return Some(0.0);
    }
    row.error_percent.map(f64::abs)
}

/// What a run comes to.
#[rustfmt::skip]
pub const VERDICT: Group = Group {
    title: "The verdict",
    needs: "",
    names: |_| Names::Any,
    metrics: &[
        metric("diagnosis", "what fails; compared with a kind or with a family", Word(|run, _| Some(run.diagnosis.kind.name()))),
        metric("diagnosis.family", "what sort of failure it is", Word(|run, _| Some(run.diagnosis.family.name()))),
        metric("diagnosis.member", "the thing that is full, or none where it is not known", Word(|run, _| Some(run.diagnosis.member.map_or("none", Member::name)))),
        metric("inferred_capacity", "how many streams are served at once, if that is what limits", Count(|run, _| run.diagnosis.inferred_capacity)),
        metric("recovery.time", "from the end of the load until health was back", Time(|run, _| run.phases.recovery.time_to_recover_us)),
    ],
};
