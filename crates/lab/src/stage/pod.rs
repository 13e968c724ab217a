use std::process::ExitStatus;
use std::time::Duration;

use super::child::{Child, Spec};
use super::{Port, Records, StageError};
use crate::measure::LivePid;

/// A server that can be ended and started again on the same ports. At most one process of it runs at a
/// time. Like any [`Child`], the process ends with this value and with the lab.
#[derive(Debug)]
pub struct Pod {
    spec: Spec,
    records: Records,
    child: Option<Child>,
    pid: LivePid,
    _ports: Vec<Port>,
}

/// How a process of a [`Pod`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminated {
    /// Whether its grace was over first, so that SIGKILL ended it.
    pub forced: bool,
}

impl Pod {
    /// Starts the server, whose flags must have it listen on `ports`, and waits until it is ready.
    ///
    /// # Errors
    /// As [`Child::start`].
    ///
    /// # Cancel safety
    /// Dropping the future kills the process.
    pub async fn start(
        spec: Spec,
        ports: Vec<Port>,
        records: &Records,
    ) -> Result<Self, StageError> {
        let child = Child::start(spec.clone(), records).await?;
        let pid = LivePid::default();
        pid.set(Some(child.pid()));
        Ok(Self {
            spec,
            records: records.clone(),
            child: Some(child),
            pid,
            _ports: ports,
        })
    }

    /// Starts the next process, if none runs, and waits until it is ready. Its output is added to the log
    /// of the one before.
    ///
    /// # Errors
    /// As [`Child::start`].
    ///
    /// # Cancel safety
    /// Dropping the future kills the process.
    pub async fn restart(&mut self) -> Result<(), StageError> {
        if self.child.is_none() {
            let child = Child::start_again(self.spec.clone(), &self.records).await?;
            self.pid.set(Some(child.pid()));
            self.child = Some(child);
        }
        Ok(())
    }

    /// Name of the binary.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// The process number, followed over restarts.
    #[must_use]
    pub fn pid(&self) -> LivePid {
        self.pid.clone()
    }

    /// Waits until the process has ended, and returns how; for ever if none runs.
    ///
    /// # Cancel safety
    /// Safe: nothing is lost.
    pub async fn ended(&mut self) -> ExitStatus {
        let Some(child) = &mut self.child else {
            return std::future::pending().await;
        };
        let status = child.wait().await;
        self.forget();
        status
    }

    /// How the process ended, if it has.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.exited()?;
        self.forget();
        Some(status)
    }

    /// Ends the process: SIGTERM, then SIGKILL when `grace` is over.
    ///
    /// # Cancel safety
    /// Safe: the process keeps running as far as SIGTERM lets it, and can be ended again.
    pub async fn terminate(&mut self, grace: Duration) -> Terminated {
        let mut forced = false;
        if let Some(child) = &mut self.child {
            forced = !child.terminate(grace).await;
            self.forget();
        }
        Terminated { forced }
    }

    /// Ends the process for good: SIGTERM, then SIGKILL when the lab's own grace is over.
    ///
    /// # Cancel safety
    /// Dropping the future kills the process at once.
    pub async fn stop(mut self) {
        if let Some(child) = self.child.take() {
            child.stop().await;
        }
        self.pid.set(None);
    }

    fn forget(&mut self) {
        self.child = None;
        self.pid.set(None);
    }
}
