//! Whether a measurement can be trusted, and why not.

use super::flat;
use crate::load::{Delivery, KINDS, NOT_SENT_PERCENT, shown};
use crate::summary::{Distribution, Quality, State};

/// The probe may always be this late, in microseconds.
const DISPATCH_FLOOR_US: u64 = 2_000;

/// The same for a service that is seen from outside. Its verdicts need times at least ten times as long.
const ATTACHED_DISPATCH_FLOOR_US: u64 = 10_000;

/// The same, if a single check would be the p99: half of what hurts.
const FEW_DISPATCH_FLOOR_US: u64 = 50_000;

/// Adds the verdict to what was measured of the lab itself.
///
/// `unaccounted` names the phases in which the outcomes do not sum to what was due.
#[must_use]
pub fn judge(delivery: Delivery<'_>, unaccounted: &[String]) -> Quality {
    let summary = delivery.summary;
    let mut quality = delivery.quality.clone();
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
        // A service elsewhere may be slow because the network to it is.
        let failed = baseline.failed() > 0;
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
        Some(_) if quality.probe_dispatch_us.count < Distribution::LEAST_FOR_P99 => {
            FEW_DISPATCH_FLOOR_US
        }
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
    for kind in KINDS {
        reasons.extend((kind.doubts)(delivery));
    }
    if let Some(cpu) = quality.host_cpu_percent.filter(|&cpu| cpu > 90.0) {
        quality
            .remarks
            .push(format!("the whole machine was {cpu:.0} % busy in the hold: latencies include waiting for a core"));
    }
    quality.valid = reasons.is_empty();
    quality.reasons = reasons;
    quality
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::hang_ups::HangUpFigures;
    use crate::load::requests::{Loop, RequestFigures};
    use crate::load::streams::StreamSpec;
    use crate::load::{LATE_FLOOR_US, Load, LoadRecorder};
    use crate::sample::{fast, hurt, summary};
    use crate::summary::{Lateness, Ledger, Leftovers, Summary};

    fn late(p99: u64) -> Lateness {
        Lateness {
            count: 600,
            p50: 100,
            p99,
            max: p99,
        }
    }

    fn streams() -> StreamSpec {
        StreamSpec {
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
        judged_with(quality, summary, &[])
    }

    fn judged_with(quality: Quality, summary: &Summary, unaccounted: &[String]) -> Quality {
        let delivery = Delivery {
            summary,
            quality: &quality,
            asked: &Load {
                streams: Some(streams()),
                ..Load::default()
            },
            recorded: &LoadRecorder::default(),
        };
        judge(delivery, unaccounted)
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
        // The limit is 10 % of the smallest p99 that is reported: here 10 % of 5 s.
        for name in ["health_sync", "health_async"] {
            summary.phases.load.probes.insert(name.into(), hurt());
        }
        assert!(judged(quality(), &summary).valid);
    }

    #[test]
    fn one_late_check_of_a_few_does_not_spoil_a_look_from_outside() {
        let mut summary = summary();
        summary.attach = Some(crate::summary::Attach::default());
        let valid = |count, p99| {
            let quality = Quality {
                probe_dispatch_us: Lateness { count, ..late(p99) },
                ..Quality::default()
            };
            judged(quality, &summary).valid
        };
        assert!(valid(99, 49_000) && !valid(99, 51_000));
        assert!(valid(100, 9_000) && !valid(100, 11_000));
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

    /// A class of 1000 requests, of which some were not sent.
    fn with_class(arrivals: Loop, not_sent: u64, p99_us: u64) -> Summary {
        let mut summary = summary();
        let outcomes = crate::summary::Probe {
            due: 1_000,
            ok: 1_000 - not_sent,
            not_sent,
            response_us: Distribution {
                count: 1_000,
                p99: Some(p99_us),
                ..Distribution::default()
            },
            ..crate::summary::Probe::default()
        };
        let class = RequestFigures {
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
                requests_dispatch_us: [("small".to_owned(), late(LATE_FLOOR_US + 1))].into(),
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
        assert!(!judged_with(Quality::default(), &summary(), &wrong).valid);
    }

    #[test]
    fn clients_that_did_not_hang_up_as_planned_prove_nothing() {
        let row = || HangUpFigures {
            planned: 5,
            sent: 5,
            reached: 5,
            is_over: true,
            unknown_to_upstream: Some(0),
            ..HangUpFigures::default()
        };
        let valid = |row| {
            let mut summary = summary();
            summary.phases.load.hang_ups = Some(row);
            summary.leftovers = Some(Leftovers::default());
            judged(Quality::default(), &summary).valid
        };
        let with = |ending: &str| HangUpFigures {
            endings: [(ending.to_owned(), 1)].into(),
            ..row()
        };
        assert!(valid(row()) && valid(with("hanging")) && valid(with("refused")));
        assert!(!valid(with("missed")) && !valid(with("not_sent")));
        let is_over = false;
        assert!(!valid(HangUpFigures { is_over, ..row() }));
        let sent = 0;
        assert!(!valid(HangUpFigures { sent, ..row() }));
        for unknown_to_upstream in [None, Some(1)] {
            assert!(!valid(HangUpFigures {
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
            let mut kubelet = crate::summary::KubeletFigures::default();
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
