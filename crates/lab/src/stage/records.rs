use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::signal::send_signal;
use crate::measure::started_ticks;

/// How long a process may take to end after SIGTERM.
pub(super) const GRACE: Duration = Duration::from_secs(3);

/// A folder with one file for each process that the lab has started and not yet ended. With it, what a
/// crashed run left behind can be ended. A process is known by its number *and* its start time, so that
/// one that got the number later is left alone.
#[derive(Clone, Debug)]
pub struct Records {
    folder: PathBuf,
}

#[derive(Deserialize, Serialize)]
struct ProcessRecord {
    pid: u32,
    started_ticks: Option<u64>,
    name: String,
    /// The lab that started it.
    lab_pid: u32,
    lab_started_ticks: Option<u64>,
}

impl ProcessRecord {
    /// Whether the lab that started it still looks after it.
    fn is_looked_after(&self) -> bool {
        self.lab_pid != std::process::id() && is_same(self.lab_pid, self.lab_started_ticks)
    }
}

/// Whether the process of this number is the one that started then.
fn is_same(pid: u32, started: Option<u64>) -> bool {
    started.is_some() && started_ticks(pid) == started
}

/// What became of a recorded process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoppedProcess {
    /// Name of the binary.
    pub name: String,
    /// Its process number.
    pub pid: u32,
    /// Whether it was still there, and got a signal.
    pub was_running: bool,
}

impl Records {
    /// The records below the folder of all runs.
    #[must_use]
    pub fn below(out: &Path) -> Self {
        Self {
            folder: out.join(".processes"),
        }
    }

    /// Records a process that was just started.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn add(&self, name: &str, pid: u32) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let record = ProcessRecord {
            pid,
            started_ticks: started_ticks(pid),
            name: name.to_owned(),
            lab_pid: std::process::id(),
            lab_started_ticks: started_ticks(std::process::id()),
        };
        std::fs::write(self.path(pid), serde_json::to_string(&record)?)
    }

    /// Forgets a process that has ended.
    pub fn remove(&self, pid: u32) {
        let _ = std::fs::remove_file(self.path(pid));
    }

    /// Ends every recorded process whose lab is gone, if it is still the one that was recorded, and
    /// forgets it. Where start times are unknown nothing is touched: a number alone proves nothing.
    ///
    /// # Errors
    /// If the folder exists and cannot be read.
    pub fn stop_all(&self) -> std::io::Result<Vec<StoppedProcess>> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut stopped = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let record = std::fs::read_to_string(&path)
                .ok()
                .and_then(|text| serde_json::from_str::<ProcessRecord>(&text).ok());
            if record.as_ref().is_some_and(ProcessRecord::is_looked_after) {
                continue;
            }
            if let Some(record) = record {
                let was_running = end(&record);
                stopped.push(StoppedProcess {
                    name: record.name,
                    pid: record.pid,
                    was_running,
                });
            }
            let _ = std::fs::remove_file(path);
        }
        Ok(stopped)
    }

    fn path(&self, pid: u32) -> PathBuf {
        self.folder.join(format!("{pid}.json"))
    }
}

/// SIGTERM, and SIGKILL if that does not end it in time. Returns whether there was anything to end.
#[expect(clippy::disallowed_methods, reason = "a command without a runtime")]
fn end(record: &ProcessRecord) -> bool {
    let is_there = || is_same(record.pid, record.started_ticks);
    if !is_there() || !send_signal(record.pid, Signal::TERM) {
        return false;
    }
    let deadline = Instant::now() + GRACE;
    while is_there() {
        if Instant::now() >= deadline {
            send_signal(record.pid, Signal::KILL);
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_only_has_the_number_is_not_touched() {
        let folder = tempfile::tempdir().expect("folder");
        let records = Records::below(folder.path());
        let mut child = std::process::Command::new("sleep")
            .arg("30")
            .spawn()
            .expect("sleep");
        records.add("sleep", child.id()).expect("recorded");
        let path = records.path(child.id());
        let other = std::fs::read_to_string(&path)
            .expect("record")
            .replace("\"started_ticks\":", "\"started_ticks\":9");
        std::fs::write(&path, other).expect("rewritten");
        let stopped = records.stop_all().expect("read");
        assert!(!stopped[0].was_running);
        assert!(child.try_wait().expect("status").is_none(), "it was ended");

        records.add("sleep", child.id()).expect("recorded");
        let stopped = records.stop_all().expect("read");
        assert!(stopped[0].was_running);
        child.wait().expect("ended");
        assert!(records.stop_all().expect("read").is_empty());
    }
}
