use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::net::TcpListener;
use tokio::runtime::Handle;

use super::bind::bind;
use super::{Connection, ConnectionObserver, Peer};
use crate::EnvironmentError;
use crate::shared::{Counted, SharedSocket};

/// A TCP listener that counts its open connections and can be shared by several runtimes.
///
/// Each connection has a `P` of its own, made of the address of its other end, which is told what happens
/// to it. With [`Peer`], use it with [`axum::serve()`] and `into_make_service_with_connect_info::<Peer>()`.
#[derive(Debug)]
pub struct Listener<P = Peer> {
    socket: Socket,
    /// Open connections of this listener and all its clones.
    open: Arc<AtomicUsize>,
    /// Those of this one.
    held: Arc<AtomicUsize>,
    write_timeout: Option<Duration>,
    peers: PhantomData<fn() -> P>,
}

#[derive(Debug)]
enum Socket {
    Own(TcpListener),
    Shared(SharedSocket),
}

impl Listener {
    /// Binds to `address`; port 0 picks a free port. `flag` is what the person who started the service
    /// changes the address with.
    ///
    /// # Errors
    /// [`EnvironmentError`] that names the address and the remedy.
    pub fn bind(address: SocketAddr, flag: &str) -> Result<Self, EnvironmentError> {
        Self::bind_with(address, flag, None)
    }
}

impl<P> Listener<P> {
    /// As [`bind`](Listener::bind), and every connection has a send buffer of `send_buffer` bytes (Linux
    /// doubles it for its own bookkeeping). `None` leaves it to the kernel, which lets it grow to
    /// megabytes.
    ///
    /// # Errors
    /// [`EnvironmentError`] that names the address and the remedy.
    pub fn bind_with(
        address: SocketAddr,
        flag: &str,
        send_buffer: Option<u32>,
    ) -> Result<Self, EnvironmentError> {
        Ok(Self {
            socket: Socket::Own(bind(address, flag, send_buffer)?),
            open: Arc::default(),
            held: Arc::default(),
            write_timeout: None,
            peers: PhantomData,
        })
    }

    /// Ends a connection whose peer takes nothing for `limit`: see [`WriteLimit`](super::WriteLimit).
    #[must_use]
    pub fn with_write_timeout(mut self, limit: Duration) -> Self {
        self.write_timeout = Some(limit);
        self
    }

    /// The same listener for each of `runtimes`: a connection goes to one that is free, with an eye
    /// to even shares, and all count in one gauge.
    ///
    /// # Errors
    /// If the operating system gives no further file, or a runtime has its I/O disabled.
    pub fn share(self, runtimes: &[Handle]) -> io::Result<Vec<Self>> {
        let Socket::Own(socket) = self.socket else {
            return Err(io::Error::other("the listener is shared already"));
        };
        let for_one = |runtime: &Handle| {
            let _inside = runtime.enter();
            let socket = socket.as_fd().try_clone_to_owned()?;
            let socket = SharedSocket::new(socket.into(), runtimes.len())?;
            Ok(Self {
                socket: Socket::Shared(socket),
                open: Arc::clone(&self.open),
                held: Arc::default(),
                write_timeout: self.write_timeout,
                peers: PhantomData,
            })
        };
        runtimes.iter().map(for_one).collect()
    }

    /// The address it is bound to.
    ///
    /// # Errors
    /// If the operating system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        match &self.socket {
            Socket::Own(socket) => socket.local_addr(),
            Socket::Shared(socket) => socket.local_addr(),
        }
    }

    /// The number of connections open now, readable while the listener serves.
    #[must_use]
    pub fn open_connections(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.open)
    }
}

impl<P: ConnectionObserver + From<SocketAddr>> axum::serve::Listener for Listener<P> {
    type Io = Connection<P>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection<P>, SocketAddr) {
        loop {
            let accepted = match &self.socket {
                Socket::Own(socket) => socket.accept().await,
                Socket::Shared(socket) => socket.accept(&self.held, &self.open).await,
            };
            match accepted {
                Ok((stream, address)) => {
                    // A small chunk, such as a token, must leave at once.
                    let _ = stream.set_nodelay(true);
                    let counted = [&self.open, &self.held].map(Counted::in_count);
                    let peer = P::from(address);
                    let connection = Connection::new(stream, peer, counted, self.write_timeout);
                    return (connection, address);
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection; trying again in 100 ms");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.address()
    }
}

impl Connected<IncomingStream<'_, Listener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        stream.io().peer().clone()
    }
}
