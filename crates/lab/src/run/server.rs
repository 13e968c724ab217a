use crate::load::Kubelet;
use crate::measure::{CellClock, LivePid, Results};
use crate::stage::{Pod, StageError};
use verdict::load::kubelet::KubeletSpec;

/// The server under test: alone, or with a kubelet that restarts it when it ends.
#[derive(Debug)]
pub(super) struct Server {
    name: String,
    pid: LivePid,
    /// `None` while the kubelet has it.
    pod: Option<Pod>,
    kubelet: Option<Kubelet>,
}

/// Why a server does not run any more.
pub(super) enum Gone {
    /// It ended, and there is no kubelet. The text says how it ended.
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
        spec: &KubeletSpec,
        base: &str,
        clock: &CellClock,
        results: &Results,
    ) -> anyhow::Result<()> {
        if let Some(pod) = self.pod.take() {
            self.kubelet = Some(Kubelet::start(spec, pod, base, clock, results)?);
        }
        Ok(())
    }

    /// Why it does not run; `None` while it runs or the kubelet is about to start it again.
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

    /// Ends the kubelet, so that nothing kills or restarts the server any more.
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

    /// Ends the server and its kubelet.
    ///
    /// # Cancel safety
    /// Dropping the future kills the process.
    pub(super) async fn stop(mut self) {
        // The server ends anyway, so it does not matter whether a restart failed.
        let _ = self.dismiss_kubelet().await;
        if let Some(pod) = self.pod {
            pod.stop().await;
        }
    }
}
