use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::{ConnectionObserver, WriteLimit};
use crate::shared::Counted;

/// One accepted connection, which tells `P` what happens to it.
#[derive(Debug)]
pub struct Connection<P: ConnectionObserver> {
    stream: TcpStream,
    peer: P,
    _counted: [Counted; 2],
    write_limit: WriteLimit,
}

impl<P: ConnectionObserver> Connection<P> {
    /// The connection that `stream` is; it is in the count of its listener and of all its clones.
    pub(super) fn new(
        stream: TcpStream,
        peer: P,
        counted: [Counted; 2],
        write_timeout: Option<Duration>,
    ) -> Self {
        Self {
            stream,
            peer,
            _counted: counted,
            write_limit: WriteLimit::new(write_timeout),
        }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &P {
        &self.peer
    }

    fn written(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let result = self.write_limit.check(cx, result);
        if let Poll::Ready(Err(error)) = &result {
            self.peer.write_failed(error);
        }
        result
    }
}

impl<P: ConnectionObserver> Drop for Connection<P> {
    fn drop(&mut self) {
        self.peer.is_closing();
        if self.peer.is_to_be_reset() {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl<P: ConnectionObserver> AsyncRead for Connection<P> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.peer.is_unread() {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let had_room = buf.remaining() > 0;
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        match &result {
            Poll::Ready(Ok(())) if had_room && buf.filled().len() == before => {
                self.peer.has_read_the_end();
            }
            Poll::Ready(Err(error)) => self.peer.read_failed(error),
            _ => {}
        }
        result
    }
}

impl<P: ConnectionObserver> AsyncWrite for Connection<P> {
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
