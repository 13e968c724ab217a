use std::time::{Duration, Instant};

use reqwest::header::CONNECTION;
use tokio::sync::{mpsc, watch};

use crate::measure::{CellClock, Results, ask, prefer_this_thread};
use verdict::load::LoadEvent;
use verdict::load::kubelet::rules::{Container, Decision, ProbeKind, Ticker, Worker};
use verdict::load::kubelet::{KubeletEvent, KubeletProbe, KubeletSpec};
use verdict::record::{Event, Outcome};

/// Sends the probes.
pub(super) struct KubeletProber {
    pub spec: KubeletSpec,
    /// Base URL of the server.
    pub base: String,
    /// Without kept connections: each probe is on a fresh one.
    pub client: reqwest::Client,
    pub clock: CellClock,
    /// The container that runs, if one does.
    pub containers: watch::Receiver<Option<Container>>,
    /// Where the number of a container goes that has to be restarted.
    pub restarts: mpsc::UnboundedSender<u32>,
    pub ended: watch::Receiver<bool>,
    pub results: Results,
}

impl KubeletProber {
    /// Probes until the end, on the thread that it runs on.
    pub(super) async fn probe_all(self) {
        prefer_this_thread();
        let of = async |kind, probe: &Option<KubeletProbe>| match probe {
            Some(probe) => self.probe(kind, probe.clone()).await,
            None => None,
        };
        tokio::join!(
            of(ProbeKind::Liveness, &self.spec.liveness_probe),
            of(ProbeKind::Readiness, &self.spec.readiness_probe)
        );
    }

    /// Probes until the end, of which `None` tells.
    async fn probe(&self, kind: ProbeKind, probe: KubeletProbe) -> Option<()> {
        let rules = self.spec.rules(&probe);
        let url = format!("{}{}", self.base, probe.path);
        let origin = self.clock.origin();
        let mut worker = Worker::new(kind, rules);
        let mut ticker = Ticker::new(rules.period);
        let mut due = Duration::ZERO;
        loop {
            self.until_end(tokio::time::sleep_until((origin + due).into()))
                .await?;
            let running = *self.containers.borrow();
            if let Some(container) = running.filter(|_| worker.tick(running, due)) {
                let sent = Instant::now();
                let asked = tokio::time::timeout(rules.timeout, self.ask(&url));
                let outcome = self.until_end(asked).await?.unwrap_or(Outcome::Timeout);
                self.tell(KubeletEvent::Probe {
                    kind,
                    due_us: self.clock.us(origin + due),
                    sent_us: self.clock.us(sent),
                    outcome,
                });
                // What could not be sent says nothing of the container.
                let decision = (outcome != Outcome::NotSent)
                    .then(|| worker.result(container.number, outcome == Outcome::Ok))
                    .flatten();
                self.follow(decision, container);
            }
            due = ticker.next(origin.elapsed());
        }
    }

    /// Sends a probe, on a connection of its own.
    async fn ask(&self, url: &str) -> Outcome {
        let request = self.client.get(url).header(CONNECTION, "close");
        ask(request, &mut None).await
    }

    fn follow(&self, decision: Option<Decision>, container: Container) {
        let at_us = self.clock.now_us();
        match decision {
            None => {}
            Some(Decision::Restart) => {
                self.tell(KubeletEvent::Kill { at_us });
                // The receiver lives as long as the pod is looked after.
                let _ = self.restarts.send(container.number);
            }
            Some(Decision::Ready | Decision::Unready) => self.tell(KubeletEvent::Ready {
                at_us,
                is_ready: decision == Some(Decision::Ready),
            }),
        }
    }

    fn tell(&self, event: KubeletEvent) {
        self.results.tell(Event::Load(LoadEvent::Kubelet(event)));
    }

    async fn until_end<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut ended = self.ended.clone();
        tokio::select! {
            biased;
            _ = ended.wait_for(|ended| *ended) => None,
            done = work => Some(done),
        }
    }
}
