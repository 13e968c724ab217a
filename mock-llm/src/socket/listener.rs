use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use service::{EnvironmentError, bind};
use tokio::net::TcpListener;

use super::connection::Connection;

/// A TCP listener that counts its open connections, notes how and when each peer leaves, and can
/// give them small send buffers. [`Mock::serve`](crate::Mock::serve) serves on it.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
    open: Arc<AtomicUsize>,
    write_timeout: Option<Duration>,
}

impl Listener {
    /// Listens on `address`: see [`service::bind`].
    ///
    /// # Errors
    /// [`EnvironmentError`] that names the address and the remedy.
    pub fn bind(
        address: SocketAddr,
        flag: &str,
        send_buffer: Option<u32>,
    ) -> Result<Self, EnvironmentError> {
        Ok(Self {
            inner: bind(address, flag, send_buffer)?,
            open: Arc::default(),
            write_timeout: None,
        })
    }

    /// Ends a connection whose peer takes nothing of what is written to it for `limit`, if there is
    /// one.
    #[must_use]
    pub fn with_write_timeout(mut self, limit: Option<Duration>) -> Self {
        self.write_timeout = limit;
        self
    }

    /// The address it is bound to.
    ///
    /// # Errors
    /// If the operating system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// The number of connections open now, readable while the listener serves.
    #[must_use]
    pub fn open_connections(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.open)
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> Connection {
        loop {
            match self.inner.accept().await {
                Ok((stream, address)) => {
                    // Each token is a packet of its own.
                    let _ = stream.set_nodelay(true);
                    self.open.fetch_add(1, Ordering::Relaxed);
                    let open = Arc::clone(&self.open);
                    return Connection::new(stream, address, open, self.write_timeout);
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection; trying again in 100 ms");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}
