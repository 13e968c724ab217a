use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use service::EnvironmentError;
use tokio::net::{TcpListener, TcpSocket};

use super::connection::Connection;

/// Length of the accept queue: thousands of streams may begin at once (the kernel caps it at
/// `net.core.somaxconn`, 4096 by default).
const BACKLOG: u32 = 4096;

/// A TCP listener that counts its open connections, notes how and when each peer leaves, and can
/// give them small send buffers. [`Mock::serve`](crate::Mock::serve) serves on it.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
    open: Arc<AtomicUsize>,
    write_timeout: Option<Duration>,
}

impl Listener {
    /// Binds to `address`; port 0 picks a free port. `flag` is what the person who started the
    /// service changes the address with.
    ///
    /// `send_buffer` is the `SO_SNDBUF` of every connection in bytes (Linux doubles it for its own
    /// bookkeeping); `None` leaves it to the kernel, which lets it grow to megabytes.
    ///
    /// # Errors
    /// [`EnvironmentError`] that names the address and the remedy.
    pub fn bind(
        address: SocketAddr,
        flag: &str,
        send_buffer: Option<u32>,
    ) -> Result<Self, EnvironmentError> {
        let bind = || -> io::Result<TcpListener> {
            let socket = if address.is_ipv4() {
                TcpSocket::new_v4()?
            } else {
                TcpSocket::new_v6()?
            };
            socket.set_reuseaddr(true)?;
            if let Some(bytes) = send_buffer {
                // What is accepted inherits it.
                socket.set_send_buffer_size(bytes)?;
            }
            socket.bind(address)?;
            socket.listen(BACKLOG)
        };
        let inner = bind().map_err(|error| {
            EnvironmentError(format!(
                "cannot listen on {address}: {error}; choose another address with {flag} \
                 (port 0 picks a free port), or stop what holds it"
            ))
        })?;
        Ok(Self {
            inner,
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
