use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Completes at the first SIGTERM or SIGINT.
///
/// From then on a second signal ends the process at once, with the shell's code for it, so that a
/// person who presses Ctrl-C twice is obeyed.
///
/// # Errors
/// If the signal handlers cannot be installed.
///
/// # Cancel safety
/// Dropping the future forgets a signal that it has not reported yet.
pub async fn on_signal() -> std::io::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    tokio::spawn(async move {
        let code = tokio::select! {
            _ = term.recv() => 143,
            _ = interrupt.recv() => 130,
        };
        std::process::exit(code);
    });
    Ok(())
}

/// A drain in two steps: [`begin`](Drain::begin) stops accepting, and whoever waits for
/// [`begun`](Drain::begun) hears of it; live streams then have a bounded time to end.
#[derive(Clone, Debug)]
pub struct Drain {
    begun: watch::Sender<bool>,
    limit: Duration,
}

impl Drain {
    /// A drain that gives live streams at most `limit`.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self {
            begun: watch::Sender::new(false),
            limit,
        }
    }

    /// Begins the drain. Idempotent.
    pub fn begin(&self) {
        self.begun.send_replace(true);
    }

    /// Completes once the drain has begun.
    ///
    /// # Cancel safety
    /// Safe: nothing is consumed.
    pub async fn begun(&self) {
        let mut receiver = self.begun.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = receiver.wait_for(|begun| *begun).await;
    }

    /// Completes once the drain has begun and its time is over.
    ///
    /// # Cancel safety
    /// Safe, but the time starts anew with the next call.
    pub async fn expired(&self) {
        self.begun().await;
        tokio::time::sleep(self.limit).await;
    }
}
