//! The kubelet that looks after the server: by the rules of [`verdict::load::kubelet::rules`], in real time, with the
//! real process.

mod keeper;
mod probes;

use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{mpsc, watch};

use crate::measure::Segments;
use crate::stage::{Pod, StageError};
use keeper::{Keeper, keep};
use probes::Prober;
use verdict::load::kubelet::rules::{BackOff, Container};
use verdict::record::Event;
use verdict::scenario;

/// A kubelet at work. It has the pod until [`Kubelet::end`] gives it back.
///
/// Probes are sent from an OS thread and a runtime of their own, so that neither the load nor the lab's
/// own work makes one late; the process is ended and started on the runtime that made this.
#[derive(Debug)]
pub struct Kubelet {
    end: watch::Sender<bool>,
    keeper: tokio::task::JoinHandle<(Pod, Result<(), StageError>)>,
    thread: Option<JoinHandle<()>>,
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
        spec: &scenario::Kubelet,
        pod: Pod,
        base: &str,
        segments: &Segments,
        results: &Sender<Event>,
    ) -> anyhow::Result<Self> {
        let first = Container {
            number: 0,
            started: Duration::ZERO,
        };
        let (end, ended) = watch::channel(false);
        let (container, containers) = watch::channel(Some(first));
        let (restarts, restart) = mpsc::unbounded_channel();
        let prober = Prober {
            spec: spec.clone(),
            base: base.to_owned(),
            client: crate::http::client(false).context("cannot make the kubelet's HTTP client")?,
            segments: segments.clone(),
            containers,
            restarts,
            ended: ended.clone(),
            results: results.clone(),
        };
        let thread = prober.start()?;
        let keeper = Keeper {
            pod,
            back_off: BackOff::new(spec.back_off()),
            grace: spec.grace(),
            segments: segments.clone(),
            container,
            restart,
            ended,
            results: results.clone(),
        };
        Ok(Self {
            end,
            keeper: tokio::spawn(keep(keeper)),
            thread: Some(thread),
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
        self.end_probes();
        (&mut self.keeper).await.expect(KEEPER_GONE)
    }

    fn end_probes(&mut self) {
        self.end.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.end_probes();
        // With the task the pod goes, and with it the process.
        self.keeper.abort();
    }
}
