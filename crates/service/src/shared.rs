use std::io;
use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::net::TcpStream;

/// How long a runtime that has its share leaves a connection to the others.
const STEP_BACK: Duration = Duration::from_millis(1);

/// A listening socket from which several runtimes accept.
///
/// A connection goes to a runtime that is free, as it does where worker processes share a socket. Of
/// processes, the first one to wake may take a whole burst, and chance decides which worker a kept
/// connection stays with. Here, a runtime that holds more than its share waits for a moment before it
/// accepts, so that a measurement comes out the same twice.
#[derive(Debug)]
pub(crate) struct SharedSocket {
    socket: AsyncFd<net::TcpListener>,
    runtimes: usize,
}

impl SharedSocket {
    /// For the current runtime, one of `runtimes` that share it.
    #[expect(
        deprecated,
        reason = "its successor is `unsafe`, for owners that replace or close their file meanwhile; \
                  a std listener does neither"
    )]
    pub(crate) fn new(socket: net::TcpListener, runtimes: usize) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket = AsyncFd::new(socket)?;
        Ok(Self { socket, runtimes })
    }

    /// Accepts, with `held` connections on this runtime and `open` on all of them.
    pub(crate) async fn accept(
        &self,
        held: &AtomicUsize,
        open: &AtomicUsize,
    ) -> io::Result<(TcpStream, SocketAddr)> {
        loop {
            let mut ready = self.socket.readable().await?;
            if held.load(Ordering::Relaxed) * self.runtimes > open.load(Ordering::Relaxed) {
                tokio::time::sleep(STEP_BACK).await;
            }
            let Ok(accepted) = ready.try_io(|socket| socket.get_ref().accept()) else {
                continue;
            };
            let (stream, address) = accepted?;
            stream.set_nonblocking(true)?;
            return Ok((TcpStream::from_std(stream)?, address));
        }
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.get_ref().local_addr()
    }
}

/// One more in a count for as long as it lives.
#[derive(Debug)]
pub(crate) struct Counted(Arc<AtomicUsize>);

impl Counted {
    pub(crate) fn in_count(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
