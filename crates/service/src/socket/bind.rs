use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

use crate::EnvironmentError;

/// Length of the accept queue. Thousands of streams may begin at once, and a server that is frozen
/// for seconds must not lose the connections of an open-loop probe to a full queue (the kernel caps
/// it at `net.core.somaxconn`, 4096 by default).
const BACKLOG: u32 = 4096;

/// Listens on `address`, as [`Listener::bind_with`](super::Listener::bind_with) says.
pub(super) fn bind(
    address: SocketAddr,
    flag: &str,
    send_buffer: Option<u32>,
) -> Result<TcpListener, EnvironmentError> {
    listen(address, send_buffer).map_err(|error| {
        EnvironmentError(format!(
            "cannot listen on {address}: {error}; choose another address with {flag} \
             (port 0 picks a free port), or stop what holds it"
        ))
    })
}

fn listen(address: SocketAddr, send_buffer: Option<u32>) -> io::Result<TcpListener> {
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
}
