use std::path::PathBuf;

use thiserror::Error;

/// The environment does not allow a run: exit code 4.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StageError {
    /// A server's binary is not where the lab's own is.
    #[error("there is no {name} beside the lab in {}: build it with `make install`", folder.display())]
    NoBinary {
        /// Name of the binary.
        name: String,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// A process could not be started.
    #[error("cannot start {name}")]
    Spawn {
        /// Name of the binary.
        name: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A process ended, or said nothing, before it was ready.
    #[error("{name} did not get ready: {reason}")]
    NotReady {
        /// Name of the binary.
        name: String,
        /// What happened, with the last line of its log.
        reason: String,
    },
    /// No port is free for a server.
    #[error("no port on 127.0.0.1 is free for a server: end what holds them")]
    NoPort {
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A service that is to be driven is not there, or does not do what is asked of it.
    #[error("{0}")]
    Target(String),
    /// The user stopped the run before a cell had begun.
    #[error("interrupted before anything was measured")]
    Interrupted,
    /// The limit on open files is too low for the load.
    #[error(
        "{needed} open files are needed in one process and the hard limit is {limit}: \
         raise it (`ulimit -Hn {needed}` as root, or LimitNOFILE= for a service), or ask for fewer streams"
    )]
    OpenFiles {
        /// Files needed.
        needed: u64,
        /// The hard limit.
        limit: u64,
    },
    /// A file of the run cannot be written.
    #[error("cannot write {} (free some space, or choose another place with --out)", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
}

impl StageError {
    /// What an error becomes that kept `path` from being written.
    pub fn write(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        |source| Self::Write {
            path: path.into(),
            source,
        }
    }
}
