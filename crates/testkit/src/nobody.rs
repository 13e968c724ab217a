use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// An address on loopback where nobody listens as long as this is kept: it holds the port.
pub struct Nobody {
    address: SocketAddr,
    _socket: TcpSocket,
}

impl Nobody {
    /// On a free port.
    pub fn new() -> Self {
        Self::at((Ipv4Addr::LOCALHOST, 0).into())
    }

    /// At this address, where nobody listens now. Linux gives no port away on which somebody still does.
    pub fn at(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("set");
        socket.bind(address).expect("the port is free");
        Self {
            address: socket.local_addr().expect("bound"),
            _socket: socket,
        }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path there.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Default for Nobody {
    fn default() -> Self {
        Self::new()
    }
}
