//! Whether a measurement can be trusted, and why not.

use super::flat;
use crate::scenario::Streams;
use crate::summary::{HangUps, Loop, Quality, Requests, State, Summary};
use crate::units::{time, us};

/// The probe may always be this late, in microseconds.
const DISPATCH_FLOOR_US: u64 = 2_000;

/// The same of a service that is seen from outside: what is concluded of it begins at ten times that.
const ATTACHED_DISPATCH_FLOOR_US: u64 = 10_000;

/// Above this excess over the upstream's own time, in microseconds, something is blamed on the server.
const BLAME_FLOOR_US: u64 = 50_000;

/// The load may always be this late, in microseconds: it is sent by an async timer, which rounds to
/// milliseconds.
const LOAD_DISPATCH_FLOOR_US: u64 = 20_000;

/// Share of the checks that may go unsent, in percent.
const NOT_SENT_PERCENT: f64 = 1.0;

/// Adds the verdict to what was measured of the lab itself.
///
/// `unaccounted` names the phases in which the outcomes do not sum to what was due.
#[must_use]
pub fn judge(
    mut quality: Quality,
    summary: &Summary,
    streams: Option<&Streams>,
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
    for (name, baseline) in &summary.phases.baseline.probes {
        // A service elsewhere may be as slow as the way to it.
        let failed = baseline.due > baseline.ok;
        if let Some(why) = flat::disturbed(baseline).filter(|_| summary.attach.is_none() || failed)
        {
            reasons.push(format!(
                "the baseline of {name} was disturbed: {why}; nothing can be compared with it"
            ));
        }
    }
    let reported = summary
        .phases
        .load
        .probes
        .values()
        .filter_map(|probe| probe.response_us.p99)
        .min()
        .unwrap_or(0);
    let floor = match summary.attach {
        Some(_) => ATTACHED_DISPATCH_FLOOR_US,
        None => DISPATCH_FLOOR_US,
    };
    let allowed = floor.max(reported / 10);
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
    if summary.upstream.ledger.is_none()
        && summary.attach.is_none()
        && summary.state == State::Complete
    {
        reasons.push("the upstream's ledger could not be read".to_owned());
    }
    if not_started > 0 {
        reasons.push(format!(
            "{not_started} streams could not be started by the lab: no port or no file left; raise `ulimit -n`"
        ));
    }
    reasons.extend(streams.map_or(Vec::new(), |streams| {
        others_to_blame(&quality, summary, streams)
    }));
    for (name, class) in &summary.phases.load.requests {
        reasons.extend(not_delivered(name, class, &quality));
    }
    if let Some(row) = summary.phases.load.hang_ups.as_ref()
        && summary.state == State::Complete
    {
        reasons.extend(row_not_delivered(row, summary.leftovers.is_some()));
    }
    reasons.extend(late_kubelet(summary));
    if let Some(cpu) = quality.host_cpu_percent.filter(|&cpu| cpu > 90.0) {
        quality
            .remarks
            .push(format!("the whole machine was {cpu:.0} % busy in the hold: latencies include waiting for a core"));
    }
    quality.valid = reasons.is_empty();
    quality.reasons = reasons;
    quality
}

/// Whether the kubelet itself was late for its plan, which is what the time to a kill depends on.
fn late_kubelet(summary: &Summary) -> Option<String> {
    let kubelet = summary.kubelet.as_ref()?;
    let late = kubelet.liveness.late_us_max;
    let timeout = summary.parameters.get("liveness_timeout_us")?;
    let allowed = LOAD_DISPATCH_FLOOR_US.max(timeout / 10);
    (late > allowed).then(|| {
        format!(
            "the kubelet sent a liveness probe {} late, more than the {} allowed: the machine was \
             too busy; close other programs",
            shown(late),
            shown(allowed)
        )
    })
}

/// Whether the lab did not send what it was told to: what is not asked for proves nothing.
fn not_delivered(name: &str, class: &Requests, quality: &Quality) -> Vec<String> {
    let mut reasons = Vec::new();
    let outcomes = &class.outcomes;
    if outcomes.due == 0 {
        return vec![format!("not one request of {name} was sent")];
    }
    let not_sent = 100.0 * outcomes.not_sent as f64 / outcomes.due as f64;
    if not_sent > NOT_SENT_PERCENT {
        reasons.push(format!(
            "{not_sent:.1} % of the requests of {name} could not be sent: no port or no file left; raise `ulimit -n`"
        ));
    }
    if class.arrivals == Loop::Open {
        let late = quality
            .requests_dispatch_us
            .get(name)
            .map_or(0, |late| late.p99);
        let p99 = outcomes.response_us.p99.unwrap_or(0);
        let allowed = LOAD_DISPATCH_FLOOR_US.max(p99 / 10);
        if late > allowed {
            reasons.push(format!(
                "the lab sent the requests of {name} up to {} late (p99), more than the {} allowed: \
                 the machine was too busy; close other programs or ask for fewer",
                shown(late),
                shown(allowed)
            ));
        }
    }
    reasons
}

/// Whether clients did not hang up as they were told to, or it is not known what became of them.
fn row_not_delivered(row: &HangUps, has_levels: bool) -> Vec<String> {
    let count = |ending: &str| row.endings.get(ending).copied().unwrap_or(0);
    let mut reasons = Vec::new();
    if !row.is_over {
        reasons.push(format!(
            "the row of hang-ups was not over in time: {} of {} requests had their turn; ask for fewer, or raise `within`",
            row.sent, row.planned
        ));
    }
    if row.sent == 0 {
        reasons.push("not one client that is to hang up was sent".to_owned());
    }
    if count("not_sent") > 0 {
        reasons.push(format!(
            "{} clients that are to hang up could not be sent: no port or no file left; raise `ulimit -n`",
            count("not_sent")
        ));
    }
    if count("missed") > 0 {
        reasons.push(format!(
            "{} clients could not leave where they were to, because their answers were over first, in every attempt",
            count("missed")
        ));
    }
    if !has_levels {
        reasons.push(
            "what the server held before the load was not read: it was not warm in time; make the baseline longer"
                .to_owned(),
        );
    }
    match row.unknown_to_upstream {
        None => reasons.push(
            "the upstream's ledger of streams could not be read: nothing is known of releases"
                .to_owned(),
        ),
        Some(unknown) if unknown > 0 => reasons.push(format!(
            "the upstream's ledger lacks {unknown} requests that were served: raise its `--history`"
        )),
        Some(_) => {}
    }
    reasons
}

/// If streams were slower than planned, was it the upstream, or the lab itself, that was late?
fn others_to_blame(quality: &Quality, summary: &Summary, streams: &Streams) -> Vec<String> {
    let figures = &summary.phases.load.streams;
    let excess = |measured: Option<u64>, planned: std::time::Duration| {
        measured.map_or(0, |measured| measured.saturating_sub(us(planned)))
    };
    let gap = excess(figures.gap_us.p99, streams.interval);
    let ttft = excess(figures.ttft_us.p99, streams.ttft);
    let upstream = summary
        .upstream
        .ledger
        .as_ref()
        .map_or(0, |ledger| ledger.lateness_us.p99);
    let lab = quality.load_dispatch_us.p99;
    [
        ("the upstream sent its chunks", upstream, "the gaps", gap),
        ("the upstream sent its chunks", upstream, "TTFT", ttft),
        ("the lab started its streams", lab, "TTFT", ttft),
    ]
    .into_iter()
    .filter(|&(_, late, _, excess)| excess > BLAME_FLOOR_US && late >= excess / 2)
    .map(|(who, late, what, excess)| {
        format!(
            "{who} up to {} late (p99), which would explain the {} by which {what} exceeds its plan",
            shown(late),
            shown(excess)
        )
    })
    .collect()
}

fn shown(us: u64) -> String {
    time(us as f64)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sample::{fast, hurt, summary};
    use crate::summary::{Lateness, Ledger, Leftovers};

    fn late(p99: u64) -> Lateness {
        Lateness {
            count: 600,
            p50: 100,
            p99,
            max: p99,
        }
    }

    fn streams() -> Streams {
        Streams {
            count: 100,
            path: "/chat/stream".into(),
            ramp: Duration::from_secs(1),
            ttft: Duration::from_millis(100),
            interval: Duration::from_millis(250),
            length: Duration::from_secs(600),
            bytes: 0,
            stall_after: Duration::from_secs(5),
            headers: Default::default(),
            cohort_header: None,
            assignment: None,
        }
    }

    fn judged(quality: Quality, summary: &Summary) -> Quality {
        judge(quality, summary, Some(&streams()), 0, &[])
    }

    #[test]
    fn a_quiet_run_is_valid() {
        let quality = judged(Quality::default(), &summary());
        assert!(quality.valid, "{:?}", quality.reasons);
    }

    #[test]
    fn a_probe_that_was_late_is_invalid_unless_it_measured_much_longer_times() {
        let quality = || Quality {
            probe_dispatch_us: late(3_000),
            ..Quality::default()
        };
        let mut summary = summary();
        assert!(!judged(quality(), &summary).valid);
        // The limit follows the smallest p99 that is reported: 10 % of 5 s for all of them.
        for name in ["health_sync", "health_async"] {
            summary.phases.load.probes.insert(name.into(), hurt());
        }
        assert!(judged(quality(), &summary).valid);
    }

    #[test]
    fn a_disturbed_baseline_is_invalid() {
        let mut slow = summary();
        slow.phases.baseline.probes.insert("health_sync".into(), {
            let mut probe = fast();
            probe.response_us.p99 = Some(900_000);
            probe
        });
        assert!(!judged(Quality::default(), &slow).valid);
        let mut failing = summary();
        failing
            .phases
            .baseline
            .probes
            .insert("health_sync".into(), hurt());
        assert!(!judged(Quality::default(), &failing).valid);
    }

    #[test]
    fn checks_that_were_not_sent_are_invalid_beyond_one_in_a_hundred() {
        let with = |not_sent_percent| Quality {
            not_sent_percent,
            ..Quality::default()
        };
        assert!(judged(with(1.0), &summary()).valid);
        assert!(!judged(with(1.1), &summary()).valid);
    }

    /// A class of 1000 requests that came by a plan, of which some were not sent.
    fn with_class(arrivals: Loop, not_sent: u64, p99_us: u64) -> Summary {
        let mut summary = summary();
        let outcomes = crate::summary::Probe {
            due: 1_000,
            ok: 1_000 - not_sent,
            not_sent,
            response_us: crate::summary::Distribution {
                count: 1_000,
                p99: Some(p99_us),
                ..crate::summary::Distribution::default()
            },
            ..crate::summary::Probe::default()
        };
        let class = Requests {
            outcomes,
            unanswered: 0,
            arrivals,
            path: "/ping".to_owned(),
            users: None,
            offered_per_second: Some(50.0),
            think_us: 0,
            statuses: [].into(),
            completed: 1_000 - not_sent,
            throughput_per_second: None,
            completed_by_second: Vec::new(),
            little: None,
        };
        summary.phases.load.requests = [("small".to_owned(), class)].into();
        summary
    }

    #[test]
    fn requests_of_a_class_that_were_not_sent_are_invalid_beyond_one_in_a_hundred() {
        for arrivals in [Loop::Open, Loop::Closed] {
            let reasons = |not_sent| {
                let summary = with_class(arrivals, not_sent, 1_000);
                judged(Quality::default(), &summary).reasons
            };
            assert!(reasons(10).is_empty(), "{:?}", reasons(10));
            let told = &reasons(11)[0];
            assert!(told.starts_with("1.1 % of the requests of small"), "{told}");
        }
        let mut none = with_class(Loop::Open, 0, 1_000);
        let class = none.phases.load.requests.get_mut("small").expect("there");
        class.outcomes.due = 0;
        assert!(!judged(Quality::default(), &none).valid);
    }

    #[test]
    fn requests_of_a_plan_that_were_sent_late_are_invalid_unless_they_took_much_longer() {
        let valid = |arrivals, p99_us| {
            let quality = Quality {
                requests_dispatch_us: [("small".to_owned(), late(LOAD_DISPATCH_FLOOR_US + 1))]
                    .into(),
                ..Quality::default()
            };
            judged(quality, &with_class(arrivals, 0, p99_us)).valid
        };
        assert!(!valid(Loop::Open, 1_000));
        assert!(valid(Loop::Open, 300_000), "late by less than a tenth");
        assert!(valid(Loop::Closed, 1_000), "a user has no plan to keep");
    }

    #[test]
    fn lateness_of_the_upstream_or_of_the_lab_is_not_blamed_on_the_server() {
        let mut summary = summary();
        summary.phases.load.streams.ttft_us.p99 = Some(400_000);
        assert!(judged(Quality::default(), &summary).valid);
        let own = Quality {
            load_dispatch_us: late(200_000),
            ..Quality::default()
        };
        let reasons = judged(own, &summary).reasons;
        assert!(
            reasons[0].starts_with("the lab started its streams"),
            "{reasons:?}"
        );
        summary.upstream.ledger = Some(Ledger {
            lateness_us: late(200_000),
            ..Ledger::default()
        });
        let reasons = judged(Quality::default(), &summary).reasons;
        assert!(
            reasons[0].starts_with("the upstream sent its chunks"),
            "{reasons:?}"
        );
    }

    #[test]
    fn a_check_that_is_not_accounted_for_makes_the_run_invalid() {
        let wrong = ["health in the hold (599 of 600)".to_owned()];
        assert!(!judge(Quality::default(), &summary(), Some(&streams()), 0, &wrong).valid);
    }

    #[test]
    fn clients_that_did_not_hang_up_as_planned_prove_nothing() {
        let row = || HangUps {
            planned: 5,
            sent: 5,
            reached: 5,
            is_over: true,
            unknown_to_upstream: Some(0),
            ..HangUps::default()
        };
        let valid = |row| {
            let mut summary = summary();
            summary.phases.load.hang_ups = Some(row);
            summary.leftovers = Some(Leftovers::default());
            judged(Quality::default(), &summary).valid
        };
        let with = |ending: &str| HangUps {
            endings: [(ending.to_owned(), 1)].into(),
            ..row()
        };
        assert!(valid(row()) && valid(with("hanging")) && valid(with("refused")));
        assert!(!valid(with("missed")) && !valid(with("not_sent")));
        let is_over = false;
        assert!(!valid(HangUps { is_over, ..row() }));
        let sent = 0;
        assert!(!valid(HangUps { sent, ..row() }));
        for unknown_to_upstream in [None, Some(1)] {
            assert!(!valid(HangUps {
                unknown_to_upstream,
                ..row()
            }));
        }
    }

    #[test]
    fn a_kubelet_that_was_late_is_not_blamed_on_the_server() {
        let mut summary = summary();
        let parameter = ("liveness_timeout_us".to_owned(), 500_000);
        summary.parameters.extend([parameter]);
        for (late_us_max, valid) in [(49_000, true), (51_000, false)] {
            let mut kubelet = crate::summary::Kubelet::default();
            kubelet.liveness.late_us_max = late_us_max;
            summary.kubelet = Some(kubelet);
            assert_eq!(judged(Quality::default(), &summary).valid, valid);
        }
    }

    #[test]
    fn a_run_that_was_cut_short_is_invalid() {
        for state in [State::Running, State::Interrupted, State::Failed] {
            let cut = Summary { state, ..summary() };
            assert!(!judged(Quality::default(), &cut).valid);
        }
    }
}
