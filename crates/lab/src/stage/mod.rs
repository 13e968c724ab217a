//! Processes: start, readiness, logs, stop. The only place that starts any.

mod child;
mod error;
mod guard;
mod guarded;
mod limits;
mod pod;
mod port;
mod process;
mod records;
mod signal;

pub use child::{Child, Spec, flags};
pub use error::StageError;
pub use guard::guard;
pub use guarded::Guarded;
pub use limits::provide_open_files;
pub use pod::{Pod, Terminated};
pub use port::Port;
pub use records::{Records, StoppedProcess};

/// Makes a file that nobody else can read: for what may hold more than figures.
///
/// # Errors
/// If it cannot be written.
pub fn private_file(path: &std::path::Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt;

    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)
}
