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
