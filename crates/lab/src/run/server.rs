use std::sync::mpsc::Sender;

use crate::load::Kubelet;
use crate::measure::{LivePid, Segments};
use crate::stage::{Pod, StageError};
use verdict::record::Event;
use verdict::scenario;

/// The server under test: alone, or with a kubelet that restarts it when it ends.
#[derive(Debug)]
pub(super) struct Server {
    name: String,
    pid: LivePid,
    /// Unless the kubelet has it.
    pod: Option<Pod>,
    kubelet: Option<Kubelet>,
}

/// Why a server does not run any more.
pub(super) enum Gone {
    /// It ended, as this tells, and there is no kubelet.
    Ended(String),
    /// It could not be started again.
    Environment(StageError),
}

impl Server {
    pub(super) fn new(pod: Pod) -> Self {
        Self {
            name: pod.name().to_owned(),
            pid: pod.pid(),
            pod: Some(pod),
            kubelet: None,
        }
    }

    /// Name of the binary.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its process number, followed over restarts.
    pub(super) fn pid(&self) -> LivePid {
        self.pid.clone()
    }

    /// From now on a kubelet looks after it.
    ///
    /// # Errors
    /// If the kubelet cannot start; the server has ended then.
    pub(super) fn look_after(
        &mut self,
        spec: &scenario::Kubelet,
        base: &str,
        segments: &Segments,
        results: &Sender<Event>,
    ) -> anyhow::Result<()> {
        if let Some(pod) = self.pod.take() {
            self.kubelet = Some(Kubelet::start(spec, pod, base, segments, results)?);
        }
        Ok(())
    }

    /// Why it does not run, unless it does or is about to again.
    ///
    /// # Cancel safety
    /// Dropping the future kills the process.
    pub(super) async fn gone(&mut self) -> Option<Gone> {
        if let Some(pod) = &mut self.pod {
            return pod.exited().map(|status| Gone::Ended(status.to_string()));
        }
        if !self.kubelet.as_ref()?.has_given_up() {
            return None;
        }
        self.dismiss_kubelet().await.err().map(Gone::Environment)
    }

    /// From now on nothing is done to it.
    ///
    /// # Errors
    /// [`StageError`] if it could not be started again.
    ///
    /// # Cancel safety
    /// Dropping the future kills the process.
    pub(super) async fn dismiss_kubelet(&mut self) -> Result<(), StageError> {
        let Some(kubelet) = self.kubelet.take() else {
            return Ok(());
        };
        let (pod, result) = kubelet.end().await;
        self.pod = Some(pod);
        result
    }

    /// Ends it, and what looks after it.
    ///
    /// # Cancel safety
    /// Dropping the future kills the process.
    pub(super) async fn stop(mut self) {
        // Whoever asks for the end does not care any more whether it could have been started again.
        let _ = self.dismiss_kubelet().await;
        if let Some(pod) = self.pod {
            pod.stop().await;
        }
    }
}
