use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use verdict::load::hang_ups::Leave;

/// A client with one request on a connection of its own, which it owns down to the socket: it decides
/// when that is closed, and how.
///
/// It reads and writes only while one of its futures is polled.
pub(super) struct Client {
    sender: http1::SendRequest<Full<Bytes>>,
    connection: Connection,
    body: Option<Incoming>,
}

struct Connection {
    /// Absent after it has ended.
    open: Option<http1::Connection<TokioIo<TcpStream>, Full<Bytes>>>,
}

impl Connection {
    /// Lets `work` go on, and the connection with it.
    async fn drive<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            self.poll(cx);
            work.as_mut().poll(cx)
        })
        .await
    }

    fn poll(&mut self, cx: &mut Context<'_>) {
        if let Some(open) = &mut self.open {
            // What it ended with is told to whoever waits for the answer.
            if Pin::new(open).poll(cx).is_ready() {
                self.open = None;
            }
        }
    }
}

impl Client {
    /// Connects; a client that is to leave with a reset is prepared for it.
    pub(super) async fn connect(to: SocketAddr, leave: Leave) -> std::io::Result<Self> {
        let socket = TcpStream::connect(to).await?;
        socket.set_nodelay(true)?;
        if leave == Leave::Rst {
            socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO))?;
        }
        let (sender, open) = http1::handshake(TokioIo::new(socket))
            .await
            .map_err(std::io::Error::other)?;
        Ok(Self {
            sender,
            connection: Connection { open: Some(open) },
            body: None,
        })
    }

    /// Sends the request and waits for the head of the answer.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> hyper::Result<StatusCode> {
        let sending = self.sender.send_request(request);
        let answer = self.connection.drive(sending).await?;
        let status = answer.status();
        self.body = Some(answer.into_body());
        Ok(status)
    }

    /// The next piece of the answer; `None` at its end.
    pub(super) async fn piece(&mut self) -> Option<hyper::Result<Bytes>> {
        let body = self.body.as_mut()?;
        loop {
            match self.connection.drive(body.frame()).await? {
                // Trailers are no content.
                Ok(frame) => match frame.into_data() {
                    Ok(bytes) => return Some(Ok(bytes)),
                    Err(_trailers) => {}
                },
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Leaves. Closes the socket at once, or if it is to vanish, returns it: it stays open as long as
    /// that lives, and nobody reads it.
    pub(super) fn leave(self, leave: Leave) -> Option<std::net::TcpStream> {
        if leave != Leave::Vanish {
            return None;
        }
        let open = self.connection.open?;
        open.into_parts().io.into_inner().into_std().ok()
    }
}

/// Never ready: for a select whose branch does not apply.
pub(super) async fn never() {
    poll_fn(|_| Poll::<()>::Pending).await;
}
