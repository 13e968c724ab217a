use std::fs::File;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};

use super::signal::send_signal;
use super::{Records, StageError};

/// A process of one of the lab's own binaries. It is recorded while this value lives. It ends with the
/// lab, whatever ends the lab, because its standard input closes then.
#[derive(Debug)]
pub(super) struct Process {
    name: String,
    pid: u32,
    child: tokio::process::Child,
    records: Records,
    // Held, never written to.
    lifeline: Option<ChildStdin>,
}

impl Process {
    /// Starts `command`, which writes its errors to `errors`.
    pub(super) fn start(
        name: &str,
        command: &mut Command,
        errors: File,
        records: &Records,
    ) -> Result<Self, StageError> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            // Ctrl-C on the terminal reaches the lab alone, which then ends its children in order.
            .process_group(0)
            .spawn()
            .map_err(|source| StageError::Spawn {
                name: name.to_owned(),
                source,
            })?;
        let pid = child.id().unwrap_or_default();
        // A missing record costs only `lab stop`; the lifeline does not depend on it.
        let _ = records.add(name, pid);
        Ok(Self {
            name: name.to_owned(),
            pid,
            lifeline: child.stdin.take(),
            child,
            records: records.clone(),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// The lines of its standard output; `None` the second time.
    pub(super) fn lines(&mut self) -> Option<Lines<BufReader<ChildStdout>>> {
        let stdout = self.child.stdout.take()?;
        Some(BufReader::new(stdout).lines())
    }

    /// How it ended, if it has.
    pub(super) fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits until it has ended.
    ///
    /// # Cancel safety
    /// Safe: nothing is lost.
    pub(super) async fn wait(&mut self) -> ExitStatus {
        // Waiting fails only for what was waited for elsewhere, which nothing does.
        self.child.wait().await.unwrap_or_default()
    }

    /// Waits until it has ended, and kills it when `patience` is over. Returns whether it ended by
    /// itself.
    ///
    /// # Cancel safety
    /// Safe: it can be waited for again.
    pub(super) async fn wait_or_kill(&mut self, patience: Duration) -> bool {
        let ended = tokio::time::timeout(patience, self.child.wait()).await;
        if ended.is_err() {
            let _ = self.child.kill().await;
        }
        ended.is_ok()
    }

    pub(super) fn signal(&self, signal: Signal) {
        // A process that was waited for has no number any more, and another may have it.
        if let Some(pid) = self.child.id() {
            send_signal(pid, signal);
        }
    }

    /// What the lab's end does to it.
    pub(super) fn cut_lifeline(&mut self) {
        self.lifeline = None;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.records.remove(self.pid);
    }
}
