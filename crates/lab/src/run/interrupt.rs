use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Tells whether the user asked the run to stop, by Ctrl-C, SIGTERM, or by closing
/// the terminal.
#[derive(Clone, Debug)]
pub struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Listens from now on. The first signal asks for a stop. A second one ends the process at once with
    /// code 130, and the lifeline ends its children.
    ///
    /// # Errors
    /// If the handlers cannot be installed.
    pub fn listen() -> std::io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hang_up.recv() => {}
                }
                if sender.send_replace(true) {
                    std::process::exit(130);
                }
            }
        });
        Ok(Self(receiver))
    }

    /// Completes once a stop is asked for.
    ///
    /// # Cancel safety
    /// Safe: a request is not forgotten.
    pub async fn requested(&self) {
        if self
            .0
            .clone()
            .wait_for(|requested| *requested)
            .await
            .is_err()
        {
            // The listener is gone, so nobody can ask for a stop any more.
            std::future::pending::<()>().await;
        }
    }
}
