use std::time::Duration;

use crate::load::kubelet::rules::ProbeKind;
use crate::load::requests::Window;
use crate::record::Outcome;
use crate::summary::{EndCause, Kill, Kubelet, ProbeCount, Readiness};
use crate::units::us;

/// Something that the kubelet did or saw. Instants are microseconds on the cell's clock.
#[derive(Clone, Copy, Debug)]
pub enum KubeletEvent {
    /// A probe has its outcome.
    Probe {
        /// Which probe.
        kind: ProbeKind,
        /// When it was due.
        due_us: u64,
        /// When it was sent.
        sent_us: u64,
        /// What became of it.
        outcome: Outcome,
    },
    /// The pod became ready, or is not ready any more.
    Ready {
        /// When.
        at_us: u64,
        /// Whether it is.
        is_ready: bool,
    },
    /// The liveness probe has failed as often as it may; the container is told to end.
    Kill {
        /// When the last of the probes had failed.
        at_us: u64,
    },
    /// The container has ended.
    Ended {
        /// When.
        at_us: u64,
        /// Why.
        cause: EndCause,
        /// Whether its grace period was over before it ended, so that SIGKILL ended it.
        forced: bool,
        /// How long the back-off has it wait.
        back_off: Duration,
    },
    /// The next container listens.
    Started {
        /// When.
        at_us: u64,
        /// Its process number.
        pid: u32,
    },
}

/// Records what the kubelet does.
#[derive(Clone, Debug, Default)]
pub struct KubeletRecorder {
    liveness: ProbeCount,
    readiness: ProbeCount,
    /// When the pod became ready, and when it was not any more, in turns.
    ready: Vec<(u64, bool)>,
    kill_at_us: Option<u64>,
    kills: Vec<Kill>,
}

impl KubeletRecorder {
    /// Adds what happened.
    pub fn add(&mut self, event: KubeletEvent) {
        match event {
            KubeletEvent::Probe {
                kind,
                due_us,
                sent_us,
                outcome,
            } => {
                let count = match kind {
                    ProbeKind::Liveness => &mut self.liveness,
                    ProbeKind::Readiness => &mut self.readiness,
                };
                count.sent += 1;
                count.failed += u64::from(outcome != Outcome::Ok);
                count.timeout += u64::from(outcome == Outcome::Timeout);
                count.late_us_max = count.late_us_max.max(sent_us.saturating_sub(due_us));
            }
            KubeletEvent::Ready { at_us, is_ready } => self.became(at_us, is_ready),
            KubeletEvent::Kill { at_us } => self.kill_at_us = Some(at_us),
            KubeletEvent::Ended {
                at_us,
                cause,
                forced,
                back_off,
            } => {
                self.became(at_us, false);
                let killed = self.kill_at_us.take();
                self.kills.push(Kill {
                    at_us: killed.unwrap_or(at_us),
                    cause,
                    forced,
                    took_us: killed.map(|killed| at_us.saturating_sub(killed)),
                    ended_us: at_us,
                    back_off_us: us(back_off),
                    down_us: None,
                    next_pid: None,
                });
            }
            KubeletEvent::Started { at_us, pid } => {
                if let Some(kill) = self.kills.last_mut() {
                    kill.down_us = Some(at_us.saturating_sub(kill.ended_us));
                    kill.next_pid = Some(pid);
                }
            }
        }
    }

    fn became(&mut self, at_us: u64, is_ready: bool) {
        if self.is_ready() != is_ready {
            self.ready.push((at_us, is_ready));
        }
    }

    /// Whether the pod is ready now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.last().is_some_and(|&(_, is_ready)| is_ready)
    }

    /// Whether the container has ended and the next one does not listen yet.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.kills.last().is_some_and(|kill| kill.down_us.is_none())
    }

    /// How often the container was started again.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        let restarted = self.kills.iter().filter(|kill| kill.down_us.is_some());
        restarted.count() as u64
    }

    /// The figures; `window` is ramp and hold.
    #[must_use]
    pub fn figures(&self, window: Window) -> Kubelet {
        let pending = self.kill_at_us.map(|at_us| (at_us, EndCause::Liveness));
        let ended = self.kills.iter().map(|kill| (kill.at_us, kill.cause));
        let by_liveness = ended
            .chain(pending)
            .filter(|&(at_us, cause)| cause == EndCause::Liveness && at_us >= window.start_us);
        let under_load = by_liveness.clone().filter(|&(at, _)| at < window.end_us);
        let is_measured = window.end_us > window.start_us;
        Kubelet {
            restarts: self.restarts(),
            first_kill_us: by_liveness
                .clone()
                .next()
                .filter(|_| is_measured)
                .map(|(at_us, _)| at_us - window.start_us),
            kills_in_load: under_load.count() as u64,
            kills: self.kills.clone(),
            liveness: self.liveness.clone(),
            readiness: Readiness {
                probes: self.readiness.clone(),
                transitions: self
                    .ready
                    .iter()
                    .filter(|&&(at, _)| (window.start_us..window.end_us).contains(&at))
                    .count() as u64,
                unready_us: self.unready_us(window),
            },
        }
    }

    /// How much of the window the pod was not ready.
    fn unready_us(&self, window: Window) -> u64 {
        let mut ready_us = 0;
        for (n, &(from, is_ready)) in self.ready.iter().enumerate() {
            let until = self.ready.get(n + 1).map_or(u64::MAX, |&(until, _)| until);
            if is_ready {
                let until = until.min(window.end_us);
                ready_us += until.saturating_sub(from.max(window.start_us));
            }
        }
        window
            .end_us
            .saturating_sub(window.start_us)
            .saturating_sub(ready_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window {
        start_us: 5_000_000,
        hold_us: 5_000_000,
        end_us: 95_000_000,
    };

    fn ended(at_us: u64, cause: EndCause) -> KubeletEvent {
        KubeletEvent::Ended {
            at_us,
            cause,
            forced: false,
            back_off: Duration::ZERO,
        }
    }

    #[test]
    fn the_first_kill_counts_from_the_start_of_the_load() {
        let mut recorder = KubeletRecorder::default();
        for event in [
            ended(2_000_000, EndCause::Itself),
            KubeletEvent::Started {
                at_us: 2_100_000,
                pid: 2,
            },
            KubeletEvent::Kill { at_us: 55_000_000 },
            ended(55_600_000, EndCause::Liveness),
            KubeletEvent::Started {
                at_us: 55_700_000,
                pid: 3,
            },
            KubeletEvent::Kill { at_us: 96_000_000 },
        ] {
            recorder.add(event);
        }
        let figures = recorder.figures(WINDOW);
        assert_eq!(figures.first_kill_us, Some(50_000_000));
        // The third is after the hold, and its container has not ended.
        assert_eq!((figures.restarts, figures.kills_in_load), (2, 1));
        assert_eq!(figures.kills[1].took_us, Some(600_000));
        assert_eq!(figures.kills[1].down_us, Some(100_000));
        assert_eq!(figures.kills[1].next_pid, Some(3));
    }

    #[test]
    fn a_pod_is_unready_until_it_says_that_it_is_ready_and_while_it_is_down() {
        let mut recorder = KubeletRecorder::default();
        assert_eq!(recorder.figures(WINDOW).readiness.unready_us, 90_000_000);
        for (at_us, is_ready) in [(1_000, true), (25_000_000, false), (35_000_000, true)] {
            recorder.add(KubeletEvent::Ready { at_us, is_ready });
        }
        recorder.add(ended(85_000_000, EndCause::Liveness));
        let readiness = recorder.figures(WINDOW).readiness;
        assert_eq!(readiness.unready_us, 20_000_000);
        assert_eq!(readiness.transitions, 3);
    }

    #[test]
    fn every_outcome_but_success_is_a_failed_probe() {
        let mut recorder = KubeletRecorder::default();
        for outcome in [Outcome::Ok, Outcome::BadStatus, Outcome::Timeout] {
            recorder.add(KubeletEvent::Probe {
                kind: ProbeKind::Liveness,
                due_us: 1_000,
                sent_us: 1_400,
                outcome,
            });
        }
        let liveness = recorder.figures(WINDOW).liveness;
        assert_eq!(
            (liveness.sent, liveness.failed, liveness.timeout),
            (3, 2, 1)
        );
        assert_eq!(liveness.late_us_max, 400);
    }
}
