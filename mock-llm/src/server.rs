use std::io;

use service::Drain;

use crate::config::Config;
use crate::mock::Mock;
use crate::routes::router;
use crate::socket::{self, Listener};

/// Serves until the drain is over.
///
/// # Errors
/// If the listener fails for good.
///
/// # Cancel safety
/// As [`Mock::serve`].
pub async fn run(listener: Listener, config: Config, drain: Drain) -> io::Result<()> {
    let mock = Mock::new(config, &listener);
    mock.serve(listener, drain).await
}

impl Mock {
    /// Serves HTTP/1.1 and HTTP/2 (with prior knowledge) until the drain is over. When the drain begins,
    /// no connection is accepted any more and live streams go on. When its time is up, the rest is cut.
    ///
    /// # Errors
    /// If the listener fails for good.
    ///
    /// # Cancel safety
    /// Dropping the future closes the listener. Connections that are already accepted go on until their
    /// runtime ends.
    pub async fn serve(&self, listener: Listener, drain: Drain) -> io::Result<()> {
        let begun = drain.clone();
        let streams = self.config().max_http2_streams;
        let stop = async move { begun.begun().await };
        tokio::select! {
            () = socket::serve(listener, router(self), streams, stop) => Ok(()),
            () = drain.expired() => {
                let left = self.open_connections();
                tracing::warn!(left, "the drain's time is over; the connections that are left are cut");
                Ok(())
            }
        }
    }
}
