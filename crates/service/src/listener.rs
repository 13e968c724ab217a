use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::time::Sleep;

use crate::EnvironmentError;
use crate::shared::{Counted, SharedSocket};

/// Length of the accept queue. A server that is frozen for seconds must not lose the connections of
/// an open-loop probe to a full queue (the kernel caps it at `net.core.somaxconn`, 4096 by default).
const BACKLOG: u32 = 4096;

/// A TCP listener that counts its open connections and lets a handler see how its peer left.
///
/// Use it with [`axum::serve()`] and `into_make_service_with_connect_info::<Peer>()`.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    /// Open connections of this listener and all its clones.
    open: Arc<AtomicUsize>,
    /// Those of this one.
    held: Arc<AtomicUsize>,
    write_timeout: Option<Duration>,
}

#[derive(Debug)]
enum Socket {
    Own(TcpListener),
    Shared(SharedSocket),
}

impl Listener {
    /// Binds to `address`; port 0 picks a free port.
    ///
    /// # Errors
    /// [`EnvironmentError`] that names the address and the remedy.
    pub fn bind(address: SocketAddr, flag: &str) -> Result<Self, EnvironmentError> {
        let bind = || -> io::Result<TcpListener> {
            let socket = if address.is_ipv4() {
                tokio::net::TcpSocket::new_v4()?
            } else {
                tokio::net::TcpSocket::new_v6()?
            };
            socket.set_reuseaddr(true)?;
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
            socket: Socket::Own(inner),
            open: Arc::default(),
            held: Arc::default(),
            write_timeout: None,
        })
    }

    /// Ends a connection whose peer takes nothing for `limit`. Without it a client that never reads
    /// keeps what its response holds for ever: its body is not asked for more while a write waits, so
    /// no timeout inside the body can run.
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

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            let accepted = match &self.socket {
                Socket::Own(socket) => socket.accept().await,
                Socket::Shared(socket) => socket.accept(&self.held, &self.open).await,
            };
            match accepted {
                Ok((stream, address)) => {
                    // A relay's small chunks must leave at once.
                    let _ = stream.set_nodelay(true);
                    let counted = [&self.open, &self.held].map(Counted::in_count);
                    let state = Arc::new(PeerState::default());
                    let connection = Connection {
                        stream,
                        state,
                        _counted: counted,
                        write_timeout: self.write_timeout,
                        stalled: None,
                    };
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

/// How a peer left a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HangUp {
    /// The peer sent FIN: it closed, or shut down its writing half.
    Fin,
    /// The peer sent RST: it closed with unread data, or on purpose.
    Reset,
}

#[derive(Debug, Default)]
pub(crate) struct PeerState {
    hang_up: AtomicU8,
    reset_on_close: AtomicBool,
    /// See [`Peer::half_close`].
    pub(crate) unread: AtomicBool,
}

impl PeerState {
    fn note(&self, hang_up: HangUp) {
        let code = match hang_up {
            HangUp::Fin => 1,
            HangUp::Reset => 2,
        };
        // A reset after a FIN is the stronger news; a FIN after a reset does not happen.
        self.hang_up.fetch_max(code, Ordering::Relaxed);
    }

    fn note_error(&self, error: &io::Error) {
        if matches!(
            error.kind(),
            io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::ConnectionAborted
        ) {
            self.note(HangUp::Reset);
        }
    }
}

/// The other end of a connection, for handlers: `ConnectInfo<Peer>`.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Address of the other end.
    pub address: SocketAddr,
    pub(crate) state: Arc<PeerState>,
}

impl Peer {
    /// How the peer left, if it has and the connection has noticed.
    #[must_use]
    pub fn hang_up(&self) -> Option<HangUp> {
        match self.state.hang_up.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(HangUp::Fin),
            _ => Some(HangUp::Reset),
        }
    }

    /// Makes the close of this connection a reset (`SO_LINGER` 0): the peer's next read fails.
    pub fn reset_on_close(&self) {
        self.state.reset_on_close.store(true, Ordering::Relaxed);
    }
}

impl Connected<IncomingStream<'_, Listener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        Self {
            address: *stream.remote_addr(),
            state: Arc::clone(&stream.io().state),
        }
    }
}

/// One accepted connection: a TCP stream that remembers how its peer left.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    state: Arc<PeerState>,
    _counted: [Counted; 2],
    write_timeout: Option<Duration>,
    /// Runs while a write waits for the peer.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.state.reset_on_close.load(Ordering::Relaxed) {
            let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        }
    }
}

impl Connection {
    fn written(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match (&result, self.write_timeout) {
            (Poll::Ready(outcome), _) => {
                self.stalled = None;
                if let Err(error) = outcome {
                    self.state.note_error(error);
                }
                result
            }
            (Poll::Pending, None) => result,
            (Poll::Pending, Some(limit)) => {
                let stalled = self
                    .stalled
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
                stalled.as_mut().poll(cx).map(|()| {
                    tracing::info!(?limit, "a client took nothing; its connection is ended");
                    Err(io::ErrorKind::TimedOut.into())
                })
            }
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.state.unread.load(Ordering::Relaxed) {
            // Whoever serves the connection reads again by itself, once its response is out.
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let had_room = buf.remaining() > 0;
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        match &result {
            Poll::Ready(Ok(())) if had_room && buf.filled().len() == before => {
                self.state.note(HangUp::Fin);
            }
            Poll::Ready(Err(error)) => self.state.note_error(error),
            _ => {}
        }
        result
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, data);
        self.written(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.state.reset_on_close.load(Ordering::Relaxed) {
            // A FIN here would let the peer read a clean end before the reset arrives.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
