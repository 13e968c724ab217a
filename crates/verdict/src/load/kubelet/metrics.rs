use crate::metrics::metric::Read::{Count, Percent, Time};
use crate::metrics::metric::{Group, Names, metric};
use crate::summary::{KubeletFigures, Readiness, Summary};

/// Length of ramp and hold in microseconds; `None` if there was none.
fn load_us(run: &Summary) -> Option<u64> {
    let load = &run.phases.load;
    Some(load.ramp.duration_us + load.hold_us).filter(|&us| us > 0)
}

/// If no liveness probe was sent under load, no count of its effects proves anything.
fn alive(run: &Summary) -> Option<&KubeletFigures> {
    load_us(run)?;
    let kubelet = run.kubelet.as_ref();
    kubelet.filter(|kubelet| kubelet.liveness.sent > 0)
}

/// The same of the readiness probe.
fn ready(run: &Summary) -> Option<&Readiness> {
    load_us(run)?;
    let readiness = &run.kubelet.as_ref()?.readiness;
    (readiness.probes.sent > 0).then_some(readiness)
}

fn down_us(kubelet: &KubeletFigures) -> u64 {
    kubelet.kills.iter().filter_map(|kill| kill.down_us).sum()
}

/// What the kubelet saw and did.
#[rustfmt::skip]
pub const METRICS: Group = Group {
    title: "The kubelet",
    needs: "[kubelet]",
    names: |asked| Names::any_if(asked.cell.kubelet.is_some()),
    metrics: &[
        metric("kubelet.restarts", "how often the container was started again", Count(|run, _| Some(alive(run)?.restarts))),
        metric("kubelet.kills", "how often liveness had failed as often as it may, by the end of the hold", Count(|run, _| Some(alive(run)?.kills_in_load))),
        metric("kubelet.first_kill", "from the start of the load to the first of these", Time(|run, _| run.kubelet.as_ref()?.first_kill_us)),
        metric("kubelet.liveness_sent", "liveness probes with an outcome", Count(|run, _| Some(alive(run)?.liveness.sent))),
        metric("kubelet.liveness_failed", "those that failed", Count(|run, _| Some(alive(run)?.liveness.failed))),
        metric("kubelet.readiness_sent", "readiness probes with an outcome", Count(|run, _| Some(ready(run)?.probes.sent))),
        metric("kubelet.readiness_failed", "those that failed", Count(|run, _| Some(ready(run)?.probes.failed))),
        metric("kubelet.unready", "share of ramp and hold in which the pod was not ready", Percent(|run, _| Some(100.0 * ready(run)?.unready_us as f64 / load_us(run)? as f64))),
        metric("kubelet.down", "from each end of the container to the next one's start, together", Time(|run, _| alive(run).map(down_us))),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use crate::scenario::Value;
    use crate::summary::{Phase, ProbeCount};

    fn measured(field: &str, kubelet: Option<KubeletFigures>, load_us: u64) -> Option<Value> {
        let mut summary = sample::summary();
        summary.kubelet = kubelet;
        summary.phases.load.hold_us = load_us;
        summary.phases.load.ramp = Phase::default();
        let measured = crate::metrics::measured(field, &summary);
        measured.map(|measured| measured.value)
    }

    #[test]
    fn without_a_probe_under_load_nothing_is_said_of_restarts() {
        for field in METRICS.metrics.iter().map(|metric| metric.name) {
            assert_eq!(measured(field, None, 1), None, "{field}");
            let silent = Some(KubeletFigures::default());
            assert_eq!(measured(field, silent, 1), None, "{field}");
        }
        let probed = KubeletFigures {
            liveness: ProbeCount {
                sent: 9,
                ..ProbeCount::default()
            },
            ..KubeletFigures::default()
        };
        assert_eq!(measured("kubelet.restarts", Some(probed.clone()), 0), None);
        let restarts = measured("kubelet.restarts", Some(probed.clone()), 1);
        assert_eq!(restarts, Some(Value::Number(0.0)));
        assert_eq!(measured("kubelet.unready", Some(probed.clone()), 1), None);
        assert_eq!(measured("kubelet.first_kill", Some(probed), 1), None);
    }

    #[test]
    fn unready_is_a_share_of_ramp_and_hold() {
        let kubelet = KubeletFigures {
            readiness: Readiness {
                probes: ProbeCount {
                    sent: 9,
                    ..ProbeCount::default()
                },
                transitions: 1,
                unready_us: 30_000_000,
            },
            ..KubeletFigures::default()
        };
        let unready = measured("kubelet.unready", Some(kubelet), 90_000_000);
        assert!(matches!(unready, Some(Value::Percent(share)) if (33.3..33.4).contains(&share)));
    }
}
