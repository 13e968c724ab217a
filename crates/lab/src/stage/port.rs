use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

use super::StageError;

/// A free port on loopback, for a server that may have to be started on it again.
///
/// On Linux it stays reserved while this value lives. A socket is bound to it that does not listen and
/// keeps others away. Without it a client could be given this port as its own while nobody listens. The
/// server can bind the port all the same, because both sockets allow the reuse of addresses. Elsewhere
/// nothing is reserved, and the port is only one that was free.
#[derive(Debug)]
pub struct Port {
    address: SocketAddr,
    _reserved: Option<TcpSocket>,
}

impl Port {
    /// Finds one.
    ///
    /// # Errors
    /// [`StageError::NoPort`] if there is none.
    pub fn reserve() -> Result<Self, StageError> {
        let reserve = || {
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseaddr(true)?;
            socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
            let address = socket.local_addr()?;
            Ok((address, socket))
        };
        let (address, socket) = reserve().map_err(|source| StageError::NoPort { source })?;
        Ok(Self {
            address,
            _reserved: cfg!(target_os = "linux").then_some(socket),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_listens_on_it_again_and_again_and_nobody_else_gets_it() {
        let port = Port::reserve().expect("a port");
        for _ in 0..3 {
            let socket = TcpSocket::new_v4().expect("a socket");
            socket.set_reuseaddr(true).expect("set");
            socket.bind(port.address()).expect("the server binds it");
            let listener = socket.listen(16).expect("the server listens");
            let client = tokio::net::TcpStream::connect(port.address());
            let (client, accepted) = tokio::join!(client, listener.accept());
            drop((client.expect("connected"), accepted.expect("accepted")));
        }
        let other = TcpSocket::new_v4().expect("a socket");
        assert!(other.bind(port.address()).is_err());
        let refused = tokio::net::TcpStream::connect(port.address()).await;
        assert!(refused.is_err(), "nobody listens");
    }
}
