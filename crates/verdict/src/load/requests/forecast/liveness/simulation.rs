use std::time::Duration;

use super::Setting;
use crate::forecast::pool_queue::PoolQueue;
use crate::load::kubelet::rules::{BackOff, Container, Decision, ProbeKind, Ticker, Worker};
use crate::load::kubelet::{KubeletSpec, ProbeRules};

/// What became of a simulated cell by the end of its hold. Instants are seconds on the cell's clock.
pub(crate) struct Simulated {
    /// When the liveness probe had failed as often as it may.
    pub kills: Vec<f64>,
    /// Predictions whose client was still there.
    pub in_time: u64,
    /// Longest wait in the queue.
    pub longest_wait: f64,
}

/// Simulates a cell. Predictions and probes come, and each takes the thread that is free first.
pub(crate) fn simulate(setting: &Setting<'_>) -> Simulated {
    let kubelet = setting.cell.kubelet.as_ref();
    let mut play = Play {
        setting,
        liveness: kubelet
            .and_then(KubeletSpec::liveness)
            .filter(|_| setting.livez_waits)
            .map(|rules| PlayedProbe::new(ProbeKind::Liveness, rules)),
        readiness: kubelet
            .and_then(KubeletSpec::readiness)
            .map(|rules| PlayedProbe::new(ProbeKind::Readiness, rules)),
        prediction: 0,
        so_far: Simulated {
            kills: Vec::new(),
            in_time: 0,
            longest_wait: 0.0,
        },
    };
    let mut back_off = kubelet.map(|kubelet| BackOff::new(kubelet.back_off()));
    let mut started = 0.0;
    for number in 0.. {
        let Some(kill) = play.life(number, started) else {
            break;
        };
        play.so_far.kills.push(kill);
        let ended = Duration::from_secs_f64(kill + setting.stop);
        let Some(back_off) = &mut back_off else {
            break;
        };
        started = back_off.restart_at(ended).as_secs_f64();
        play.pass_over(started);
    }
    play.so_far
}

struct Play<'a> {
    setting: &'a Setting<'a>,
    liveness: Option<PlayedProbe>,
    readiness: Option<PlayedProbe>,
    /// The next prediction.
    prediction: u64,
    so_far: Simulated,
}

struct PlayedProbe {
    worker: Worker,
    ticker: Ticker,
    timeout: f64,
    due: f64,
}

impl PlayedProbe {
    fn new(kind: ProbeKind, rules: ProbeRules) -> Self {
        Self {
            worker: Worker::new(kind, rules),
            ticker: Ticker::new(rules.period),
            timeout: rules.timeout.as_secs_f64(),
            due: 0.0,
        }
    }

    /// The probe is due. Without a timeout it would be answered at `answered`. Returns what follows, and
    /// when.
    fn send(&mut self, container: Container, answered: impl FnOnce(f64) -> f64) -> Option<f64> {
        let due = self.due;
        let is_sent = self
            .worker
            .tick(Some(container), Duration::from_secs_f64(due));
        let mut done = due;
        let mut decision = None;
        if is_sent {
            let wait = answered(due) - due;
            done = due + wait.min(self.timeout);
            decision = self.worker.result(container.number, wait <= self.timeout);
        }
        self.due = self
            .ticker
            .next(Duration::from_secs_f64(done))
            .as_secs_f64();
        (decision == Some(Decision::Restart)).then_some(done)
    }
}

impl Play<'_> {
    fn prediction_due(&self) -> f64 {
        self.setting.load_start + self.prediction as f64 / self.setting.rate
    }

    /// One life of the container, until the kill or the end of the hold. Returns when it is killed.
    fn life(&mut self, number: u32, started: f64) -> Option<f64> {
        let setting = self.setting;
        let container = Container {
            number,
            started: Duration::from_secs_f64(started),
        };
        let mut pool = PoolQueue::new(setting.threads);
        let (mut waits, mut done) = (Vec::new(), Vec::new());
        let mut kill = None;
        loop {
            let due = [
                self.prediction_due(),
                self.liveness.as_ref().map_or(f64::INFINITY, |one| one.due),
                self.readiness.as_ref().map_or(f64::INFINITY, |one| one.due),
            ];
            let now = due.into_iter().fold(f64::INFINITY, f64::min);
            if now >= kill.unwrap_or(setting.load_end) {
                break;
            }
            let mut queue = |at: f64, service: f64| {
                let start = pool.add(at, |start| start + service);
                waits.push((at, start));
                start + service
            };
            if now == due[0] {
                done.push((now, queue(now, setting.service)));
                self.prediction += 1;
            } else if let Some(liveness) = self.liveness.as_mut().filter(|one| one.due == now) {
                let decided = liveness.send(container, |due| queue(due, 0.0));
                kill = kill.or(decided);
            } else if let Some(readiness) = &mut self.readiness {
                let service = setting.readiness.unwrap_or(0.0);
                readiness.send(container, |due| queue(due, service));
            }
        }
        let kill = kill.filter(|&kill| kill < setting.load_end);
        let end = kill.map_or(setting.load_end, |kill| kill + setting.stop);
        for (at, start) in waits {
            let wait = start.min(end) - at;
            self.so_far.longest_wait = self.so_far.longest_wait.max(wait);
        }
        let is_in_time = |&&(at, done): &&(f64, f64)| {
            done - at <= setting.patience && done <= end.min(setting.load_end)
        };
        self.so_far.in_time += done.iter().filter(is_in_time).count() as u64;
        kill
    }

    /// Requests that are due while there is no container are lost.
    fn pass_over(&mut self, until: f64) {
        while self.prediction_due() < until {
            self.prediction += 1;
        }
        for probe in [&mut self.liveness, &mut self.readiness]
            .into_iter()
            .flatten()
        {
            while probe.due < until {
                let now = Duration::from_secs_f64(probe.due);
                probe.worker.tick(None, now);
                probe.due = probe.ticker.next(now).as_secs_f64();
            }
        }
    }
}
