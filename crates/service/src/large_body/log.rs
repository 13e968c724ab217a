use std::fs::File;
use std::io::{self, Seek, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use tokio::sync::Semaphore;
use vitals::BlockingPool;

use super::{SMALL, Timings};
use crate::{EnvironmentError, ServerArgs};

/// Most lines that wait to be written beside the loop; further ones are left out.
const LINES_WAITING: usize = 64;

/// A log that takes whole bodies, as text, in a formatted line. Without `--log-bodies` it does nothing.
///
/// Each line replaces the one before it, so that the disk holds one body only; what a line costs is
/// the same. Lines are written one at a time: whoever writes waits for the writer before it.
#[derive(Clone, Debug)]
pub struct BodyLog {
    file: Option<Arc<Mutex<File>>>,
    waiting: Arc<Semaphore>,
    timings: Timings,
}

impl BodyLog {
    /// Opens the file of `--log-bodies`, if that is given. What a line takes goes into `timings` as
    /// `body_log`.
    ///
    /// # Errors
    /// [`EnvironmentError`] if the file cannot be written.
    pub fn open(args: &ServerArgs, timings: &Timings) -> Result<Self, EnvironmentError> {
        let create = |path: &std::path::PathBuf| {
            File::create(path).map_err(|error| {
                let path = path.display();
                EnvironmentError(format!(
                    "cannot write {path}: {error}; choose another file with --log-bodies"
                ))
            })
        };
        let file = args.log_bodies.as_ref().map(create).transpose()?;
        Ok(Self {
            file: file.map(|file| Arc::new(Mutex::new(file))),
            waiting: Arc::new(Semaphore::new(LINES_WAITING)),
            timings: timings.clone(),
        })
    }

    /// Logs a body on the calling thread, which is held meanwhile.
    pub fn write(&self, body: &[u8]) {
        let Some(file) = &self.file else { return };
        let started = Instant::now();
        if let Err(error) = replace(file, body) {
            tracing::warn!(%error, "a body could not be logged");
        }
        if body.len() > SMALL {
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

fn replace(file: &Mutex<File>, body: &[u8]) -> io::Result<()> {
    let now = humantime::format_rfc3339_millis(SystemTime::now());
    let text = String::from_utf8_lossy(body);
    let line = format!("{now} INFO body of {} bytes: {text}\n", body.len());
    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_the_last_body_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bodies.log");
        let file = Mutex::new(File::create(&path).unwrap());
        replace(&file, "a long body".repeat(1000).as_bytes()).unwrap();
        replace(&file, b"short").unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.ends_with(" INFO body of 5 bytes: short\n"), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}
