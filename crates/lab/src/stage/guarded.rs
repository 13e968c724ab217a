use std::fs::File;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{ChildStdin, Command};

use super::child::last_words;
use super::records::GRACE;
use super::{Records, StageError};

/// A process of somebody else's program, which knows nothing of the lab. Between the two stands a
/// guard, a process of the lab's own binary (see [`super::guard`]), that ends it with all that it has
/// started, whatever ends the lab.
#[derive(Debug)]
pub struct Guarded {
    name: String,
    pid: u32,
    guard: tokio::process::Child,
    guard_pid: u32,
    records: Records,
    lifeline: Option<ChildStdin>,
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
        let spawn_error = |source| StageError::Spawn {
            name: name.clone(),
            source,
        };
        let file = File::create(log).map_err(|source| StageError::Write {
            path: log.to_owned(),
            source,
        })?;
        let lab = std::env::current_exe().map_err(spawn_error)?;
        let mut guard = Command::new(lab)
            .arg("guard")
            .arg("--")
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            // Ctrl-C on the terminal reaches the lab alone.
            .process_group(0)
            .spawn()
            .map_err(spawn_error)?;
        let lifeline = guard.stdin.take();
        let guard_pid = guard.id().unwrap_or_default();
        // A missing record costs only `lab stop`.
        let _ = records.add("guard", guard_pid);
        let mut first = String::new();
        if let Some(stdout) = guard.stdout.take() {
            let _ = BufReader::new(stdout).read_line(&mut first).await;
        }
        let Ok(pid) = first.trim().parse() else {
            let _ = guard.wait().await;
            records.remove(guard_pid);
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
            guard_pid,
            records: records.clone(),
            lifeline,
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
        self.guard.try_wait().ok().flatten()
    }

    /// Ends it and all that it has started: SIGTERM, then SIGKILL.
    ///
    /// # Cancel safety
    /// Safe: the guard ends it all the same.
    pub async fn stop(mut self) {
        self.lifeline = None;
        let patience = GRACE + Duration::from_secs(3);
        if tokio::time::timeout(patience, self.guard.wait())
            .await
            .is_err()
        {
            let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
            if let Some(pid) = pid {
                let _ = kill_process(pid, Signal::KILL);
            }
            let _ = self.guard.kill().await;
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.records.remove(self.pid);
        self.records.remove(self.guard_pid);
    }
}
