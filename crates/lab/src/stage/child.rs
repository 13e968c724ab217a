use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{BufReader, Lines};
use tokio::process::{ChildStdout, Command};

use super::process::Process;
use super::records::GRACE;
use super::{Records, StageError};

/// How long a process may take to say where it listens.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// What to start.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Name of the binary, beside the lab's own.
    pub name: String,
    /// Its flags.
    pub args: Vec<String>,
    /// What it must announce before it is ready: `listening`, `gauges`.
    pub announces: Vec<&'static str>,
    /// Where its output goes.
    pub log: PathBuf,
}

/// The arguments of a process: each flag that has a value, and the value.
pub fn flags<'a>(all: impl IntoIterator<Item = (&'a str, Option<String>)>) -> Vec<String> {
    let given = all
        .into_iter()
        .filter_map(|(flag, value)| Some([flag.to_owned(), value?]));
    given.flatten().collect()
}

/// A process that the lab has started. It ends when this value is dropped. It also ends with the lab,
/// whatever ends the lab.
#[derive(Debug)]
pub struct Child {
    process: Process,
    addresses: BTreeMap<String, SocketAddr>,
}

impl Child {
    /// Starts it and waits until it has announced its addresses.
    ///
    /// # Errors
    /// [`StageError`], with the last line of its log if it ended.
    ///
    /// # Cancel safety
    /// Dropping the future kills the process.
    pub async fn start(spec: Spec, records: &Records) -> Result<Self, StageError> {
        let log = File::create(&spec.log);
        Self::launch(spec, log, records).await
    }

    /// As [`Child::start`], for a process that follows another: its output is added to the log.
    pub(super) async fn start_again(spec: Spec, records: &Records) -> Result<Self, StageError> {
        let log = File::options().append(true).create(true).open(&spec.log);
        Self::launch(spec, log, records).await
    }

    async fn launch(
        spec: Spec,
        log: std::io::Result<File>,
        records: &Records,
    ) -> Result<Self, StageError> {
        let logs = log.and_then(|log| Ok((log.try_clone()?, log)));
        let (errors, log) = logs.map_err(StageError::write(&spec.log))?;
        let mut command = Command::new(find(&spec.name)?);
        command.args(&spec.args).env("LAB_LIFELINE", "stdin");
        command.kill_on_drop(true);
        let mut child = Self {
            process: Process::start(&spec.name, &mut command, errors, records)?,
            addresses: BTreeMap::new(),
        };
        if let Some(lines) = child.process.lines() {
            child.wait_until_ready(lines, log, &spec).await?;
        }
        Ok(child)
    }

    async fn wait_until_ready(
        &mut self,
        mut lines: Lines<BufReader<ChildStdout>>,
        mut log: File,
        spec: &Spec,
    ) -> Result<(), StageError> {
        let announced = async {
            while !spec
                .announces
                .iter()
                .all(|what| self.addresses.contains_key(*what))
            {
                let Ok(Some(line)) = lines.next_line().await else {
                    return false;
                };
                let _ = writeln!(log, "{line}");
                if let Some((what, address)) = read_announcement(&line) {
                    self.addresses.insert(what, address);
                }
            }
            true
        };
        let problem = match tokio::time::timeout(READY_WITHIN, announced).await {
            Ok(true) => {
                tokio::spawn(async move {
                    while let Ok(Some(line)) = lines.next_line().await {
                        let _ = writeln!(log, "{line}");
                    }
                });
                return Ok(());
            }
            Ok(false) => {
                // Its output has ended; its status follows at once.
                let _ = tokio::time::timeout(GRACE, self.process.wait()).await;
                "it ended".to_owned()
            }
            Err(_) => format!(
                "it did not say where it listens within {} s",
                READY_WITHIN.as_secs()
            ),
        };
        Err(StageError::NotReady {
            name: spec.name.clone(),
            reason: format!("{problem}: {}", last_words(&spec.log)),
        })
    }

    /// Its process number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Name of the binary.
    #[must_use]
    pub fn name(&self) -> &str {
        self.process.name()
    }

    /// `http://<address>` of what it announced as `what`; of port 0 if it did not, which nothing answers.
    #[must_use]
    pub fn url(&self, what: &str) -> String {
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        format!(
            "http://{}",
            self.addresses.get(what).copied().unwrap_or(unknown)
        )
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.process.exited()
    }

    /// Waits until it has ended.
    ///
    /// # Cancel safety
    /// Safe: nothing is lost.
    pub async fn wait(&mut self) -> ExitStatus {
        self.process.wait().await
    }

    /// Ends it: SIGTERM, then SIGKILL when `grace` is over. Returns whether SIGTERM was enough.
    ///
    /// # Cancel safety
    /// Safe: it can be ended again.
    pub(super) async fn terminate(&mut self, grace: Duration) -> bool {
        self.process.signal(Signal::TERM);
        self.process.wait_or_kill(grace).await
    }

    /// Ends it for good: SIGTERM, then SIGKILL when its grace is over.
    ///
    /// # Cancel safety
    /// Dropping the future kills the process at once.
    pub async fn stop(mut self) {
        self.terminate(GRACE).await;
    }
}

fn find(name: &str) -> Result<PathBuf, StageError> {
    let folder = std::env::current_exe()
        .ok()
        .and_then(|lab| lab.parent().map(Path::to_owned))
        .unwrap_or_default();
    // Tests run from `deps/`, one level below the binaries.
    let above = folder.parent().map(|above| above.join(name));
    [Some(folder.join(name)), above]
        .into_iter()
        .flatten()
        .find(|path| path.is_file())
        .ok_or_else(|| StageError::NoBinary {
            name: name.to_owned(),
            folder,
        })
}

/// Reads `<what> on http://<address>`.
fn read_announcement(line: &str) -> Option<(String, SocketAddr)> {
    let (what, address) = line.split_once(" on http://")?;
    Some((what.to_owned(), address.parse().ok()?))
}

/// What a process said of its end: its error, or else its last line.
pub(super) fn last_words(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let line = text
        .lines()
        .find(|line| line.starts_with("error: "))
        .or_else(|| text.lines().rfind(|line| !line.trim().is_empty()));
    line.unwrap_or("it said nothing")
        .trim_start_matches("error: ")
        .to_owned()
}
