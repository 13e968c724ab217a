//! Whether a measurement can be trusted, and why not.

use crate::scenario::Streams;
use crate::summary::{Quality, State, Summary};
use crate::units::time;

/// The probe may always be this late, in microseconds.
const DISPATCH_FLOOR_US: u64 = 2_000;

/// Above this excess over the upstream's own time, in microseconds, something is blamed on the server.
const BLAME_FLOOR_US: u64 = 50_000;

/// Share of the checks that may go unsent, in percent.
const NOT_SENT_PERCENT: f64 = 1.0;

/// Adds the verdict to what was measured of the lab itself.
///
/// `unaccounted` names the phases in which the outcomes do not sum to what was due.
#[must_use]
pub fn judge(
    mut quality: Quality,
    summary: &Summary,
    streams: &Streams,
    not_started: u64,
    unaccounted: &[String],
) -> Quality {
    let mut reasons = Vec::new();
    for phase in unaccounted {
        reasons.push(format!("the checks of {phase} are not all accounted for"));
    }
    let cut_short = match summary.state {
        State::Complete => None,
        State::Running => Some("the run is not over, or its lab was killed"),
        State::Interrupted => Some("the run was interrupted; checks in flight count as aborted"),
        State::Failed => Some("the run failed before its end"),
    };
    reasons.extend(cut_short.map(str::to_owned));
    let reported = summary
        .phases
        .load
        .probes
        .values()
        .filter_map(|probe| probe.response_us.p99)
        .min()
        .unwrap_or(0);
    let allowed = DISPATCH_FLOOR_US.max(reported / 10);
    if quality.probe_dispatch_us.p99 > allowed {
        reasons.push(format!(
            "the probe sent its checks up to {} late (p99), more than the {} allowed: \
             the machine was too busy; close other programs or ask for fewer streams",
            shown(quality.probe_dispatch_us.p99),
            shown(allowed)
        ));
    }
    if quality.not_sent_percent > NOT_SENT_PERCENT {
        reasons.push(format!(
            "{:.1} % of the checks could not be sent: no port or no file left",
            quality.not_sent_percent
        ));
    }
    if not_started > 0 {
        reasons.push(format!(
            "{not_started} streams could not be started by the lab: no port or no file left; raise `ulimit -n`"
        ));
    }
    reasons.extend(upstream_to_blame(summary, streams));
    if let Some(cpu) = quality.host_cpu_percent.filter(|&cpu| cpu > 90.0) {
        quality
            .remarks
            .push(format!("the whole machine was {cpu:.0} % busy in the hold: latencies include waiting for a core"));
    }
    quality.valid = reasons.is_empty();
    quality.reasons = reasons;
    quality
}

/// If streams were slower than the upstream's plan, was it the upstream that was late?
fn upstream_to_blame(summary: &Summary, streams: &Streams) -> Option<String> {
    let figures = &summary.phases.load.streams;
    let late = summary.upstream.lateness_us.p99;
    let excess = |measured: Option<u64>, planned: std::time::Duration| {
        measured.map_or(0, |us| {
            us.saturating_sub(u64::try_from(planned.as_micros()).unwrap_or(u64::MAX))
        })
    };
    let blamed = [
        ("gap", excess(figures.gap_us.p99, streams.interval)),
        ("TTFT", excess(figures.ttft_us.p99, streams.ttft)),
    ];
    blamed
        .into_iter()
        .find(|&(_, excess)| excess > BLAME_FLOOR_US && late >= excess / 2)
        .map(|(what, excess)| {
            format!(
                "the upstream sent its chunks up to {} late (p99), which would explain the {} by which \
                 {what} exceeds its plan",
                shown(late),
                shown(excess)
            )
        })
}

fn shown(us: u64) -> String {
    time(us as f64)
}
