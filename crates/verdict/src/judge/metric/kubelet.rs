use super::Measured;
use crate::scenario::Value;
use crate::summary::{Bulkhead, Summary};

pub(super) const KUBELET: [&str; 9] = [
    "restarts",
    "kills",
    "first_kill",
    "liveness_sent",
    "liveness_failed",
    "readiness_sent",
    "readiness_failed",
    "unready",
    "down",
];
pub(super) const BULKHEAD: [&str; 8] = [
    "capacity",
    "queue_limit",
    "busy_peak",
    "queued_peak",
    "queue_wait_max",
    "queue_growth",
    "refused",
    "throughput",
];

/// A metric of the kubelet. Where it sent no probe, no count of what failed proves anything.
pub(super) fn kubelet(field: &str, summary: &Summary) -> Option<Measured> {
    let kubelet = summary.kubelet.as_ref()?;
    let load = &summary.phases.load;
    let load_us = load.ramp.duration_us + load.hold_us;
    let liveness = Some(&kubelet.liveness).filter(|probes| probes.sent > 0 && load_us > 0);
    let readiness = Some(&kubelet.readiness).filter(|one| one.probes.sent > 0 && load_us > 0);
    match field {
        "restarts" => liveness.map(|_| Measured::number(kubelet.restarts)),
        "kills" => liveness.map(|_| Measured::number(kubelet.kills_in_load)),
        "first_kill" => kubelet
            .first_kill_us
            .map(|us| Measured::exact(Value::Time(us))),
        "liveness_sent" => liveness.map(|probes| Measured::number(probes.sent)),
        "liveness_failed" => liveness.map(|probes| Measured::number(probes.failed)),
        "readiness_sent" => readiness.map(|one| Measured::number(one.probes.sent)),
        "readiness_failed" => readiness.map(|one| Measured::number(one.probes.failed)),
        "unready" => readiness.map(|one| {
            let share = 100.0 * one.unready_us as f64 / load_us as f64;
            Measured::exact(Value::Percent(share))
        }),
        "down" => liveness.map(|_| {
            let down = kubelet.kills.iter().filter_map(|kill| kill.down_us);
            Measured::exact(Value::Time(down.sum()))
        }),
        _ => None,
    }
}

/// A metric of the bulkhead.
pub(super) fn bulkhead(field: &str, bulkhead: &Bulkhead) -> Option<Measured> {
    let rate = |rate: Option<f64>| rate.map(|rate| Measured::exact(Value::Number(rate)));
    match field {
        "capacity" => Some(Measured::number(bulkhead.capacity)),
        "queue_limit" => bulkhead.queue_limit.map(Measured::number),
        "busy_peak" => Some(Measured::number(bulkhead.busy_peak)),
        "queued_peak" => Some(Measured::number(bulkhead.queued_peak)),
        "queue_wait_max" => Some(Measured::exact(Value::Time(bulkhead.oldest_wait_us_peak))),
        "queue_growth" => rate(bulkhead.queue_growth_per_second),
        "refused" => Some(Measured::number(bulkhead.refused)),
        "throughput" => rate(bulkhead.completed_per_second),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use crate::summary::{Kubelet, Phase, ProbeCount, Readiness};

    fn measured(field: &str, kubelet: Option<Kubelet>, load_us: u64) -> Option<Value> {
        let mut summary = sample::summary();
        summary.kubelet = kubelet;
        summary.phases.load.hold_us = load_us;
        summary.phases.load.ramp = Phase::default();
        super::kubelet(field, &summary).map(|measured| measured.value)
    }

    #[test]
    fn without_a_probe_under_load_nothing_is_said_of_restarts() {
        for field in KUBELET {
            assert_eq!(measured(field, None, 1), None, "{field}");
            let silent = Some(Kubelet::default());
            assert_eq!(measured(field, silent, 1), None, "{field}");
        }
        let probed = Kubelet {
            liveness: ProbeCount {
                sent: 9,
                ..ProbeCount::default()
            },
            ..Kubelet::default()
        };
        assert_eq!(measured("restarts", Some(probed.clone()), 0), None);
        let restarts = measured("restarts", Some(probed.clone()), 1);
        assert_eq!(restarts, Some(Value::Number(0.0)));
        assert_eq!(measured("unready", Some(probed.clone()), 1), None);
        assert_eq!(measured("first_kill", Some(probed), 1), None);
    }

    #[test]
    fn unready_is_a_share_of_ramp_and_hold() {
        let kubelet = Kubelet {
            readiness: Readiness {
                probes: ProbeCount {
                    sent: 9,
                    ..ProbeCount::default()
                },
                transitions: 1,
                unready_us: 30_000_000,
            },
            ..Kubelet::default()
        };
        let unready = measured("unready", Some(kubelet), 90_000_000);
        assert!(matches!(unready, Some(Value::Percent(share)) if (33.3..33.4).contains(&share)));
    }
}
