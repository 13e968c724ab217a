use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::StageError;

/// Raises the soft limit on open files to the hard one, for the lab and for what it starts.
///
/// # Errors
/// [`StageError::OpenFiles`] if even the hard limit is below `needed`.
pub fn provide_open_files(needed: u64) -> Result<(), StageError> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let hard = limit.maximum.unwrap_or(u64::MAX);
    let too_low = StageError::OpenFiles {
        needed,
        limit: hard,
    };
    if hard < needed {
        return Err(too_low);
    }
    let raised = Rlimit {
        current: Some(hard.min(needed.max(1 << 16))),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).map_err(|_| too_low)
}
