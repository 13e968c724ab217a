use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::peer::{HowLeft, Peer};

/// One accepted connection: a TCP stream that remembers how and when its peer left.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    peer: Peer,
    open: Arc<AtomicUsize>,
    write_timeout: Option<Duration>,
    /// Runs while a write waits for the peer.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    /// The connection that `stream` is; `open` is lowered when it is gone.
    pub(super) fn new(
        stream: TcpStream,
        address: SocketAddr,
        open: Arc<AtomicUsize>,
        write_timeout: Option<Duration>,
    ) -> Self {
        Self {
            stream,
            peer: Peer::new(address),
            open,
            write_timeout,
            stalled: None,
        }
    }

    /// Who is at the other end.
    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }

    fn written(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match (&result, self.write_timeout) {
            (Poll::Ready(outcome), _) => {
                self.stalled = None;
                if let Err(error) = outcome {
                    self.peer.note_error(error);
                }
                result
            }
            (Poll::Pending, None) => result,
            (Poll::Pending, Some(limit)) => {
                let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(limit)));
                stalled.as_mut().poll(cx).map(|()| {
                    self.peer.note(HowLeft::TookNothing);
                    Err(io::ErrorKind::TimedOut.into())
                })
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        self.peer.note_closed();
        if self.peer.is_to_be_reset() {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let had_room = buf.remaining() > 0;
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        match &result {
            Poll::Ready(Ok(())) if had_room && buf.filled().len() == before => {
                self.peer.note(HowLeft::Fin);
            }
            Poll::Ready(Err(error)) => self.peer.note_error(error),
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
        if self.peer.is_to_be_reset() {
            // A FIN here would let the peer read a clean end before the reset arrives.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
