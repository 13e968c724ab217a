use std::thread::JoinHandle;

use anyhow::Context;
use tokio::sync::watch;

/// An OS thread with a runtime of its own, on which a load runs until it is told to end.
#[derive(Debug)]
pub(super) struct LoadThread {
    end: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl LoadThread {
    /// Runs the load that `load` makes of the word to end: the value becomes `true`.
    ///
    /// # Errors
    /// If `load` fails, or the thread or its runtime cannot be made.
    pub(super) fn start<L>(
        load: impl FnOnce(watch::Receiver<bool>) -> anyhow::Result<L>,
    ) -> anyhow::Result<Self>
    where
        L: Future<Output = ()> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the load's runtime")?;
        let (end, ended) = watch::channel(false);
        let load = load(ended)?;
        let thread = std::thread::Builder::new()
            .name("load".into())
            .spawn(move || runtime.block_on(load))?;
        Ok(Self {
            end,
            thread: Some(thread),
        })
    }

    /// Says that it is to end, and waits until it has.
    pub(super) fn end(&mut self) {
        self.end.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for LoadThread {
    fn drop(&mut self) {
        self.end();
    }
}
