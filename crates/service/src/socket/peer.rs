use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::ConnectionObserver;

/// The other end of a connection, for handlers: `ConnectInfo<Peer>`.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Address of the other end.
    pub address: SocketAddr,
    /// See [`Peer::half_close`].
    pub(super) unread: Arc<AtomicBool>,
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self {
            address,
            unread: Arc::default(),
        }
    }
}

impl ConnectionObserver for Peer {
    fn is_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    fn write_failed(&self, error: &io::Error) {
        if error.kind() == io::ErrorKind::TimedOut {
            tracing::info!("a client took nothing; its connection is ended");
        }
    }
}
