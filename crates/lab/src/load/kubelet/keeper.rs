use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use crate::measure::Segments;
use crate::stage::{Pod, StageError};
use verdict::load::kubelet::KubeletEvent;
use verdict::load::kubelet::rules::{BackOff, Container};
use verdict::record::Event;
use verdict::summary::EndCause;

/// Ends and starts the process.
pub(super) struct Keeper {
    pub pod: Pod,
    pub back_off: BackOff,
    pub grace: Duration,
    pub segments: Segments,
    /// Where the probes learn which container runs.
    pub container: watch::Sender<Option<Container>>,
    /// The numbers of containers that have to be restarted.
    pub restart: mpsc::UnboundedReceiver<u32>,
    pub ended: watch::Receiver<bool>,
    pub results: Sender<Event>,
}

/// Keeps the process running until `ended`, and gives the pod back as it is then.
pub(super) async fn keep(mut keeper: Keeper) -> (Pod, Result<(), StageError>) {
    let mut ended = keeper.ended.clone();
    let result = tokio::select! {
        biased;
        _ = ended.wait_for(|ended| *ended) => Ok(()),
        error = keeper.work() => Err(error),
    };
    (keeper.pod, result)
}

impl Keeper {
    /// Returns only what keeps the server from being started again.
    ///
    /// # Cancel safety
    /// Safe: the pod has at most one process at every instant.
    async fn work(&mut self) -> StageError {
        for number in 0.. {
            let (cause, forced) = tokio::select! {
                biased;
                // Whether it failed its probe or not, there is nothing left to be ended.
                _ = self.pod.ended() => (EndCause::Itself, false),
                () = asked_for(&mut self.restart, number) => {
                    let how = self.pod.terminate(self.grace).await;
                    (EndCause::Liveness, how.forced)
                }
            };
            let now = self.segments.origin().elapsed();
            self.container.send_replace(None);
            let restart_at = self.back_off.restart_at(now);
            self.tell(KubeletEvent::Ended {
                at_us: self.segments.now_us(),
                cause,
                forced,
                back_off: restart_at.saturating_sub(now),
            });
            let restart_at = self.segments.origin() + restart_at;
            tokio::time::sleep_until(restart_at.into()).await;
            let started = Instant::now();
            if let Err(error) = self.pod.restart().await {
                return error;
            }
            self.tell(KubeletEvent::Started {
                at_us: self.segments.now_us(),
                pid: self.pod.pid().get().unwrap_or_default(),
            });
            self.container.send_replace(Some(Container {
                number: number + 1,
                started: started.saturating_duration_since(self.segments.origin()),
            }));
        }
        unreachable!("a server is not restarted four billion times")
    }

    fn tell(&self, event: KubeletEvent) {
        // Without a collector there is nobody to report to.
        let _ = self.results.send(Event::Kubelet(event));
    }
}

/// Waits until the restart of container `number` is asked for.
async fn asked_for(restart: &mut mpsc::UnboundedReceiver<u32>, number: u32) {
    loop {
        match restart.recv().await {
            Some(asked) if asked == number => return,
            // Of a container that has ended meanwhile.
            Some(_) => {}
            // Nobody probes any more.
            None => std::future::pending().await,
        }
    }
}
