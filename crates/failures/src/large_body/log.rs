use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use service::{EnvironmentError, ServerArgs};
use tokio::sync::Semaphore;
use vitals::BlockingPool;

use super::{SMALL, Timings};

/// Most lines that wait to be written beside the loop; further ones are left out.
const LINES_WAITING: usize = 64;

/// A log that takes whole bodies, as text, in a formatted line. Without `--log-bodies` it does nothing.
///
/// Each line replaces the one before it, so that the disk holds one body only; what a line costs is
/// the same. What is no regular file, such as a terminal or a pipe, takes them one after the other.
/// Lines are written one at a time: whoever writes waits for the writer before it.
#[derive(Clone, Debug)]
pub struct BodyLog {
    file: Option<Arc<LogFile>>,
    waiting: Arc<Semaphore>,
    timings: Timings,
}

impl BodyLog {
    /// Opens the file of `--log-bodies`, if that is given. What a line takes goes into `timings` as
    /// `body_log`, once it is written.
    ///
    /// # Errors
    /// [`EnvironmentError`] if the file cannot be written.
    pub fn open(args: &ServerArgs, timings: &Timings) -> Result<Self, EnvironmentError> {
        Self::at(args.log_bodies.as_deref(), timings)
    }

    fn at(path: Option<&Path>, timings: &Timings) -> Result<Self, EnvironmentError> {
        let create = |path: &Path| {
            LogFile::create(path).map_err(|error| {
                let path = path.display();
                EnvironmentError(format!(
                    "cannot write {path}: {error}; choose another file with --log-bodies"
                ))
            })
        };
        Ok(Self {
            file: path.map(create).transpose()?.map(Arc::new),
            waiting: Arc::new(Semaphore::new(LINES_WAITING)),
            timings: timings.clone(),
        })
    }

    /// Logs a body on the calling thread, which is held meanwhile.
    pub fn write(&self, body: &[u8]) {
        let Some(file) = &self.file else { return };
        let started = Instant::now();
        if let Err(error) = file.replace(body) {
            tracing::warn!(%error, "a body could not be logged");
        } else if body.len() > SMALL {
            self.timings.record("body_log", started.elapsed());
        }
    }

    /// Logs a body on a thread of `pool`, which nobody waits for; not at all if as many lines as may
    /// wait are waiting.
    pub fn write_beside(&self, pool: &BlockingPool, body: Vec<u8>) {
        if self.file.is_none() {
            return;
        }
        let Ok(place) = Arc::clone(&self.waiting).try_acquire_owned() else {
            return;
        };
        let log = self.clone();
        drop(pool.spawn(move || {
            log.write(&body);
            drop(place);
        }));
    }
}

#[derive(Debug)]
struct LogFile {
    file: Mutex<File>,
    /// A device, a pipe or a socket can neither be cut nor be written from its beginning.
    is_regular: bool,
}

impl LogFile {
    fn create(path: &Path) -> io::Result<Self> {
        let file = File::create(path)?;
        Ok(Self {
            is_regular: file.metadata()?.is_file(),
            file: Mutex::new(file),
        })
    }

    fn replace(&self, body: &[u8]) -> io::Result<()> {
        let now = humantime::format_rfc3339_millis(SystemTime::now());
        let text = String::from_utf8_lossy(body);
        let line = format!("{now} INFO body of {} bytes: {text}\n", body.len());
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_regular {
            file.set_len(0)?;
            file.rewind()?;
        }
        file.write_all(line.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log at `path`, and how many large bodies it says it has taken.
    fn log(path: &Path) -> (BodyLog, impl Fn() -> u64 + use<>) {
        let timings = Timings::default();
        let log = BodyLog::at(Some(path), &timings).unwrap();
        let count = move || {
            let taken = timings.snapshot();
            taken.get("body_log").map_or(0, |timing| timing.count)
        };
        (log, count)
    }

    #[test]
    fn the_file_holds_the_last_body_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bodies.log");
        let (log, count) = log(&path);
        log.write("a long body".repeat(SMALL).as_bytes());
        log.write(b"short");
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.ends_with(" INFO body of 5 bytes: short\n"), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert_eq!(count(), 1, "the short one is not timed");
    }

    #[cfg(unix)]
    #[test]
    fn a_device_takes_bodies_too() {
        let (log, count) = log(Path::new("/dev/null"));
        log.write(&vec![b'x'; SMALL + 1]);
        log.write(&vec![b'x'; SMALL + 1]);
        assert_eq!(count(), 2);
    }

    /// A device on which there is never any room.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_could_not_be_written_was_not_logged() {
        let (log, count) = log(Path::new("/dev/full"));
        log.write(&vec![b'x'; SMALL + 1]);
        assert_eq!(count(), 0);
    }
}
