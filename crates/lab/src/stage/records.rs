use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::measure::started_ticks;

/// A folder with one file for each process that the lab has started and not yet ended, so that what
/// a crashed run left behind can be ended: by number *and* start time, never a process that merely
/// got the number later.
#[derive(Clone, Debug)]
pub struct Records {
    folder: PathBuf,
}

#[derive(Deserialize, Serialize)]
struct Record {
    pid: u32,
    started_ticks: Option<u64>,
    name: String,
}

/// What became of a recorded process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
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
        let record = Record {
            pid,
            started_ticks: started_ticks(pid),
            name: name.to_owned(),
        };
        std::fs::write(self.path(pid), serde_json::to_string(&record)?)
    }

    /// Forgets a process that has ended.
    pub fn remove(&self, pid: u32) {
        let _ = std::fs::remove_file(self.path(pid));
    }

    /// Ends every recorded process that is still the one that was recorded, and forgets them all.
    /// Where start times are unknown, none is touched: its number alone proves nothing.
    ///
    /// # Errors
    /// If the folder exists and cannot be read.
    pub fn stop_all(&self) -> std::io::Result<Vec<Stopped>> {
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
                .and_then(|text| serde_json::from_str::<Record>(&text).ok());
            if let Some(record) = record {
                let is_same = record.started_ticks.is_some()
                    && started_ticks(record.pid) == record.started_ticks;
                let pid = i32::try_from(record.pid)
                    .ok()
                    .and_then(Pid::from_raw)
                    .filter(|_| is_same);
                let was_running = pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
                stopped.push(Stopped {
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
