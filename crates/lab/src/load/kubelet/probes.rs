use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::{mpsc, watch};

use crate::measure::{Segments, ask, prefer_this_thread};
use verdict::load::kubelet::KubeletEvent;
use verdict::load::kubelet::rules::{Container, Decision, ProbeKind, Ticker, Worker};
use verdict::record::{Event, Outcome};
use verdict::scenario;

/// Sends the probes.
pub(super) struct Prober {
    pub spec: scenario::Kubelet,
    /// Base URL of the server.
    pub base: String,
    /// Without kept connections: each probe is on a fresh one.
    pub client: reqwest::Client,
    pub segments: Segments,
    /// The container that runs, if one does.
    pub containers: watch::Receiver<Option<Container>>,
    /// Where the number of a container goes that has to be restarted.
    pub restarts: mpsc::UnboundedSender<u32>,
    pub ended: watch::Receiver<bool>,
    pub results: Sender<Event>,
}

impl Prober {
    /// Starts to probe, on a thread of its own that ends soon after `ended`.
    pub(super) fn start(self) -> anyhow::Result<JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the kubelet's runtime")?;
        let thread = std::thread::Builder::new()
            .name("kubelet".into())
            .spawn(move || {
                prefer_this_thread();
                runtime.block_on(async {
                    let this = &self;
                    let of = |kind, probe: &Option<scenario::KubeletProbe>| {
                        let probe = probe.clone();
                        async move { this.probe(kind, probe?).await }
                    };
                    tokio::join!(
                        of(ProbeKind::Liveness, &self.spec.liveness_probe),
                        of(ProbeKind::Readiness, &self.spec.readiness_probe)
                    );
                });
            })?;
        Ok(thread)
    }

    /// Probes until the end, of which `None` tells.
    async fn probe(&self, kind: ProbeKind, probe: scenario::KubeletProbe) -> Option<()> {
        let rules = self.spec.rules(&probe);
        let url = format!("{}{}", self.base, probe.path);
        let origin = self.segments.origin();
        let mut worker = Worker::new(kind, rules);
        let mut ticker = Ticker::new(rules.period);
        let mut due = Duration::ZERO;
        loop {
            self.until_end(tokio::time::sleep_until((origin + due).into()))
                .await?;
            let running = *self.containers.borrow();
            if let Some(container) = running.filter(|_| worker.tick(running, due)) {
                let sent = Instant::now();
                let asked = tokio::time::timeout(rules.timeout, ask(self.client.get(&url), false));
                let outcome = self.until_end(asked).await?.unwrap_or(Outcome::Timeout);
                self.tell(KubeletEvent::Probe {
                    kind,
                    due_us: self.segments.us(origin + due),
                    sent_us: self.segments.us(sent),
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

    fn follow(&self, decision: Option<Decision>, container: Container) {
        let at_us = self.segments.now_us();
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
        // Without a collector there is nobody to report to.
        let _ = self.results.send(Event::Kubelet(event));
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
