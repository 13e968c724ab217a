use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The number of a process that may be restarted: whoever shares it sees the one that runs.
#[derive(Clone, Debug, Default)]
pub struct LivePid(Arc<AtomicU32>);

impl LivePid {
    /// The process number; `None` while there is no process.
    #[must_use]
    pub fn get(&self) -> Option<u32> {
        Some(self.0.load(Ordering::Relaxed)).filter(|&pid| pid != 0)
    }

    /// Says which process runs now, if one does.
    pub fn set(&self, pid: Option<u32>) {
        self.0.store(pid.unwrap_or(0), Ordering::Relaxed);
    }
}
