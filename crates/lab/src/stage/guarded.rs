use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::Command;

use super::child::last_words;
use super::process::Process;
use super::records::GRACE;
use super::signal::send_signal;
use super::{Records, StageError, private_file};

/// A process of somebody else's program, which knows nothing of the lab. Between the two stands a
/// guard, a process of the lab's own binary (see [`super::guard`]), that ends it with all that it has
/// started, whatever ends the lab.
#[derive(Debug)]
pub struct Guarded {
    name: String,
    pid: u32,
    guard: Process,
    records: Records,
}

impl Guarded {
    /// Starts `command`; what it prints goes to `log`.
    ///
    /// # Errors
    /// [`StageError`] if it cannot be started.
    ///
    /// # Cancel safety
    /// Dropping the future ends it.
    pub async fn start(
        command: &[String],
        log: &Path,
        records: &Records,
    ) -> Result<Self, StageError> {
        let name = command.first().cloned().unwrap_or_default();
        let errors = private_file(log).map_err(|source| StageError::Write {
            path: log.to_owned(),
            source,
        })?;
        let lab = std::env::current_exe().map_err(|source| StageError::Spawn {
            name: name.clone(),
            source,
        })?;
        let mut command_of_guard = Command::new(lab);
        command_of_guard.arg("guard").arg("--").args(command);
        let mut guard = Process::start("guard", &mut command_of_guard, errors, records)?;
        let first = match guard.lines() {
            Some(mut lines) => lines.next_line().await.ok().flatten(),
            None => None,
        };
        let Some(pid) = first.and_then(|line| line.trim().parse().ok()) else {
            guard.wait().await;
            return Err(StageError::NotReady {
                name,
                reason: last_words(log),
            });
        };
        let _ = records.add(&name, pid);
        Ok(Self {
            name,
            pid,
            guard,
            records: records.clone(),
        })
    }

    /// The program.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.guard.exited()
    }

    /// Ends it and all that it has started: SIGTERM, then SIGKILL.
    ///
    /// # Cancel safety
    /// Safe: the guard ends it all the same.
    pub async fn stop(mut self) {
        self.guard.cut_lifeline();
        let patience = GRACE + Duration::from_secs(3);
        if !self.guard.wait_or_kill(patience).await {
            send_signal(self.pid, Signal::KILL);
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.records.remove(self.pid);
    }
}
