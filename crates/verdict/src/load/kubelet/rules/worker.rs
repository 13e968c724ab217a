use std::time::Duration;

use crate::load::kubelet::ProbeRules;

/// Which probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProbeKind {
    /// Whose failure restarts the container.
    Liveness,
    /// Whose failure takes the pod out of the service's endpoints.
    Readiness,
}

/// A container that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Container {
    /// How many ran before it.
    pub number: u32,
    /// When it was started, on the caller's clock.
    pub started: Duration,
}

/// What a result leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The container has to be ended and started again.
    Restart,
    /// The pod is ready now.
    Ready,
    /// The pod is not ready any more.
    Unready,
}

/// Counts the results of one probe against its thresholds.
///
/// The count starts anew with each container. In the kubelet a run of failures outlives a container that
/// ended by itself. The lab cannot show that difference.
#[derive(Clone, Debug)]
pub struct Worker {
    kind: ProbeKind,
    rules: ProbeRules,
    container: Option<u32>,
    /// After a restart was asked for, until there is another container.
    is_on_hold: bool,
    last: Option<bool>,
    in_a_row: u32,
    is_ready: bool,
}

impl Worker {
    /// A worker that has seen no container yet.
    #[must_use]
    pub fn new(kind: ProbeKind, rules: ProbeRules) -> Self {
        Self {
            kind,
            rules,
            container: None,
            is_on_hold: false,
            last: None,
            in_a_row: 0,
            is_ready: false,
        }
    }

    /// The probe is due. Returns whether it is sent. `running` is the container that runs, if any.
    pub fn tick(&mut self, running: Option<Container>, now: Duration) -> bool {
        let Some(running) = running else {
            // A container that is down is not ready. The next one must prove that it is.
            self.is_ready = false;
            return false;
        };
        if self.container != Some(running.number) {
            *self = Self::new(self.kind, self.rules);
            self.container = Some(running.number);
        }
        let age = now.saturating_sub(running.started);
        !self.is_on_hold && age >= self.rules.initial_delay
    }

    /// A probe of container `number` succeeded or failed.
    pub fn result(&mut self, number: u32, success: bool) -> Option<Decision> {
        if self.container != Some(number) || self.is_on_hold {
            return None;
        }
        if self.last == Some(success) {
            self.in_a_row += 1;
        } else {
            self.last = Some(success);
            self.in_a_row = 1;
        }
        let threshold = if success {
            self.rules.success_threshold
        } else {
            self.rules.failure_threshold
        };
        if self.in_a_row < threshold {
            return None;
        }
        match (self.kind, success) {
            (ProbeKind::Liveness, true) => None,
            // Running → on hold, until there is another container.
            (ProbeKind::Liveness, false) => {
                self.is_on_hold = true;
                Some(Decision::Restart)
            }
            (ProbeKind::Readiness, _) if self.is_ready == success => None,
            (ProbeKind::Readiness, _) => {
                self.is_ready = success;
                Some(if success {
                    Decision::Ready
                } else {
                    Decision::Unready
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    const RULES: ProbeRules = ProbeRules {
        period: s(10),
        timeout: s(1),
        initial_delay: Duration::ZERO,
        failure_threshold: 3,
        success_threshold: 1,
    };

    fn container(number: u32, started: u64) -> Option<Container> {
        Some(Container {
            number,
            started: s(started),
        })
    }

    fn results(worker: &mut Worker, number: u32, results: &[bool]) -> Vec<Option<Decision>> {
        let running = container(number, 0);
        results
            .iter()
            .map(|&success| {
                worker.tick(running, s(1_000));
                worker.result(number, success)
            })
            .collect()
    }

    #[test]
    fn only_failures_in_a_row_restart_a_container() {
        let mut worker = Worker::new(ProbeKind::Liveness, RULES);
        let decisions = results(&mut worker, 0, &[false, false, true, false, false, false]);
        assert_eq!(decisions[..5], [None; 5]);
        assert_eq!(decisions[5], Some(Decision::Restart));
    }

    #[test]
    fn nothing_is_probed_between_the_kill_and_the_next_container() {
        let mut worker = Worker::new(ProbeKind::Liveness, RULES);
        results(&mut worker, 0, &[false; 3]);
        // The grace period: the container still runs.
        assert!(!worker.tick(container(0, 0), s(1_010)));
        assert_eq!(worker.result(0, false), None);
        assert!(!worker.tick(None, s(1_020)));
        assert!(worker.tick(container(1, 1_025), s(1_030)));
    }

    #[test]
    fn a_restarted_container_is_counted_anew() {
        let mut worker = Worker::new(ProbeKind::Liveness, RULES);
        results(&mut worker, 0, &[false; 3]);
        let decisions = results(&mut worker, 1, &[false, false, false]);
        assert_eq!(decisions, [None, None, Some(Decision::Restart)]);
    }

    #[test]
    fn a_late_result_of_the_container_before_is_not_counted() {
        let mut worker = Worker::new(ProbeKind::Liveness, RULES);
        results(&mut worker, 0, &[false; 3]);
        assert!(worker.tick(container(1, 0), s(0)));
        assert_eq!(worker.result(0, false), None);
        let decisions = results(&mut worker, 1, &[false, false]);
        assert_eq!(decisions, [None, None]);
    }

    #[test]
    fn the_initial_delay_is_that_of_every_container() {
        let rules = ProbeRules {
            initial_delay: s(15),
            ..RULES
        };
        let mut worker = Worker::new(ProbeKind::Liveness, rules);
        assert!(!worker.tick(container(0, 0), s(10)));
        assert!(worker.tick(container(0, 0), s(20)));
        assert!(!worker.tick(container(1, 25), s(30)));
        assert!(worker.tick(container(1, 25), s(40)));
    }

    #[test]
    fn a_pod_is_ready_after_its_first_success_and_unready_after_three_failures() {
        let mut worker = Worker::new(ProbeKind::Readiness, RULES);
        let decisions = results(
            &mut worker,
            0,
            &[false, true, true, false, false, false, false, true],
        );
        assert_eq!(decisions[1], Some(Decision::Ready));
        assert_eq!(decisions[5], Some(Decision::Unready));
        assert_eq!(decisions[7], Some(Decision::Ready));
        assert_eq!(decisions.iter().flatten().count(), 3);
    }

    #[test]
    fn readiness_may_ask_for_more_than_one_success() {
        let rules = ProbeRules {
            success_threshold: 2,
            ..RULES
        };
        let mut worker = Worker::new(ProbeKind::Readiness, rules);
        let decisions = results(&mut worker, 0, &[true, false, true, true]);
        assert_eq!(decisions, [None, None, None, Some(Decision::Ready)]);
    }

    #[test]
    fn a_new_container_is_not_ready_until_it_says_so() {
        let mut worker = Worker::new(ProbeKind::Readiness, RULES);
        results(&mut worker, 0, &[true]);
        assert_eq!(results(&mut worker, 1, &[true]), [Some(Decision::Ready)]);
        worker.tick(None, s(2_000));
        assert_eq!(results(&mut worker, 1, &[true]), [Some(Decision::Ready)]);
    }
}
