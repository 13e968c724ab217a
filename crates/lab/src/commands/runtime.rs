use tokio::runtime::{Builder, Runtime};

/// The runtime of the commands that start processes. It waits more than it works.
pub(super) fn runtime() -> anyhow::Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}
