use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;

use super::Listener;
use crate::clock::unix_us;

/// How a peer left a connection. The later in the list, the stronger the news: a reset may follow a
/// FIN, and not the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HowLeft {
    /// The peer sent FIN: it closed, or shut down its writing half.
    Fin,
    /// The peer sent RST: it closed with unread data, or on purpose.
    Reset,
    /// The peer took nothing for as long as the write timeout allows, and was left.
    TookNothing,
}

/// That a peer left, as the connection noticed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HangUp {
    /// How.
    pub how: HowLeft,
    /// When it was first noticed, in microseconds since the Unix epoch.
    pub noticed_us: u64,
}

/// The other end of a connection, for handlers: `ConnectInfo<Peer>`.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Address of the other end.
    pub address: SocketAddr,
    state: Arc<State>,
}

/// What is known of a peer; the time is 0 until something happens.
#[derive(Debug, Default)]
struct State {
    noticed_us: AtomicU64,
    how: AtomicU8,
    reset_on_close: AtomicBool,
}

impl Peer {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            state: Arc::default(),
        }
    }

    /// How the peer left, if it has and the connection has noticed.
    #[must_use]
    pub fn hang_up(&self) -> Option<HangUp> {
        let noticed_us = self.state.noticed_us.load(Ordering::Acquire);
        (noticed_us > 0).then(|| HangUp {
            how: match self.state.how.load(Ordering::Relaxed) {
                0 => HowLeft::Fin,
                1 => HowLeft::Reset,
                _ => HowLeft::TookNothing,
            },
            noticed_us,
        })
    }

    /// Makes the close of this connection a reset (`SO_LINGER` 0): the peer's next read fails.
    pub fn reset_on_close(&self) {
        self.state.reset_on_close.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_to_be_reset(&self) -> bool {
        self.state.reset_on_close.load(Ordering::Relaxed)
    }

    pub(super) fn note(&self, how: HowLeft) {
        self.state.how.fetch_max(how as u8, Ordering::Relaxed);
        // Only the first notice gives the time.
        let noticed_us = &self.state.noticed_us;
        let _ = noticed_us.compare_exchange(0, unix_us(), Ordering::Release, Ordering::Relaxed);
    }

    pub(super) fn note_error(&self, error: &io::Error) {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut};
        match error.kind() {
            ConnectionReset | BrokenPipe | ConnectionAborted => self.note(HowLeft::Reset),
            // The write limit's; a connection's own timeout comes after minutes.
            TimedOut => self.note(HowLeft::TookNothing),
            _ => {}
        }
    }
}

impl Connected<IncomingStream<'_, Listener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        stream.io().peer().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_notice_gives_the_time_and_a_reset_outweighs_a_fin() {
        let peer = Peer::new("127.0.0.1:1".parse().unwrap());
        assert_eq!(peer.hang_up(), None);
        peer.note(HowLeft::Fin);
        let fin = peer.hang_up().unwrap();
        assert_eq!(fin.how, HowLeft::Fin);
        peer.note_error(&io::ErrorKind::BrokenPipe.into());
        let reset = peer.hang_up().unwrap();
        assert_eq!(
            (reset.how, reset.noticed_us),
            (HowLeft::Reset, fin.noticed_us)
        );
    }
}
