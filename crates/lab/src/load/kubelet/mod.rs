//! The kubelet that looks after the server: by the rules of [`verdict::load::kubelet::rules`], in real time, with the
//! real process.

mod keeper;
mod probes;

use std::time::Duration;

use anyhow::Context;
use tokio::sync::{mpsc, watch};

use super::Driven;
use super::load_thread::LoadThread;
use crate::measure::{CellClock, Results};
use crate::stage::{Pod, StageError};
use keeper::{Keeper, keep};
use probes::KubeletProber;
use verdict::load::kubelet::KubeletSpec;
use verdict::load::kubelet::rules::{BackOff, Container};

/// A kubelet at work. It has the pod until [`Kubelet::end`] gives it back.
///
/// Probes are sent from an OS thread and a runtime of their own, so that neither the load nor the lab's
/// own work makes one late; the process is ended and started on the runtime that made this.
#[derive(Debug)]
pub struct Kubelet {
    keeper: tokio::task::JoinHandle<(Pod, Result<(), StageError>)>,
    probes: LoadThread,
}

/// The lab's own task that ends and starts the process has panicked, or its runtime has ended.
const KEEPER_GONE: &str = "the kubelet's task does not end while its runtime runs";

impl Kubelet {
    /// Begins to look after `pod`, whose container counts as started at the start of the cell's clock:
    /// then the first probe of each kind is due.
    ///
    /// # Errors
    /// If the thread or the client cannot be made; the pod has ended then.
    ///
    /// # Panics
    /// If called outside a Tokio runtime.
    pub fn start(
        spec: &KubeletSpec,
        pod: Pod,
        base: &str,
        clock: &CellClock,
        results: &Results,
    ) -> anyhow::Result<Self> {
        let first = Container {
            number: 0,
            started: Duration::ZERO,
        };
        let (container, containers) = watch::channel(Some(first));
        let (restarts, restart) = mpsc::unbounded_channel();
        let mut word_to_end = None;
        let probes = LoadThread::start("kubelet", |ended| {
            let prober = KubeletProber {
                spec: spec.clone(),
                base: base.to_owned(),
                client: crate::http::client(false)
                    .context("cannot make the kubelet's HTTP client")?,
                clock: clock.clone(),
                containers,
                restarts,
                ended: ended.clone(),
                results: results.clone(),
            };
            word_to_end = Some(ended);
            Ok(prober.probe_all())
        })?;
        let keeper = Keeper {
            pod,
            back_off: BackOff::new(spec.back_off()),
            grace: spec.grace(),
            clock: clock.clone(),
            container,
            restart,
            results: results.clone(),
        };
        let ended = word_to_end.context("the kubelet's thread has begun")?;
        Ok(Self {
            keeper: tokio::spawn(keep(keeper, ended)),
            probes,
        })
    }

    /// Whether it has given up, because the server could not be started again.
    #[must_use]
    pub fn has_given_up(&self) -> bool {
        self.keeper.is_finished()
    }

    /// Sends no further probe, leaves off whatever it is doing to the process, and gives the pod back:
    /// running, about to end, or down.
    ///
    /// # Errors
    /// [`StageError`] if it had given up.
    ///
    /// # Panics
    /// If the runtime on which it was made has ended.
    ///
    /// # Cancel safety
    /// Dropping the future kills the process.
    pub async fn end(mut self) -> (Pod, Result<(), StageError>) {
        self.probes.end();
        (&mut self.keeper).await.expect(KEEPER_GONE)
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.probes.end();
        // With the task the pod goes, and with it the process.
        self.keeper.abort();
    }
}
