use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use service::{Connection, EnvironmentError};

use super::peer::Peer;

/// A TCP listener that counts its open connections, notes how and when each peer leaves, and can
/// give them small send buffers. [`Mock::serve`](crate::Mock::serve) serves on it.
#[derive(Debug)]
pub struct Listener(service::Listener<Peer>);

impl Listener {
    /// Listens on `address`: see [`service::Listener::bind_with`].
    ///
    /// # Errors
    /// [`EnvironmentError`] that names the address and the remedy.
    pub fn bind(
        address: SocketAddr,
        flag: &str,
        send_buffer: Option<u32>,
    ) -> Result<Self, EnvironmentError> {
        service::Listener::bind_with(address, flag, send_buffer).map(Self)
    }

    /// Ends a connection whose peer takes nothing of what is written to it for `limit`, if there is
    /// one.
    #[must_use]
    pub fn with_write_timeout(self, limit: Option<Duration>) -> Self {
        match limit {
            Some(limit) => Self(self.0.with_write_timeout(limit)),
            None => self,
        }
    }

    /// The address it is bound to.
    ///
    /// # Errors
    /// If the operating system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.address()
    }

    /// The number of connections open now, readable while the listener serves.
    #[must_use]
    pub fn open_connections(&self) -> Arc<AtomicUsize> {
        self.0.open_connections()
    }

    /// The next connection.
    pub(super) async fn accept(&mut self) -> Connection<Peer> {
        axum::serve::Listener::accept(&mut self.0).await.0
    }
}
