use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use service::ConnectionObserver;
use tokio::sync::Notify;

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
    /// Whether this is one of many streams of its connection, as over HTTP/2.
    multiplexed: bool,
    state: Arc<State>,
}

/// What is known of a peer; the time is 0 until something happens.
#[derive(Debug, Default)]
struct State {
    noticed_us: AtomicU64,
    how: AtomicU8,
    reset_on_close: AtomicBool,
    closed: AtomicBool,
    given_up: Notify,
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self {
            address,
            multiplexed: false,
            state: Arc::default(),
        }
    }
}

impl ConnectionObserver for Peer {
    fn has_read_the_end(&self) {
        self.note(HowLeft::Fin);
    }

    fn read_failed(&self, error: &io::Error) {
        self.note_error(error);
    }

    fn write_failed(&self, error: &io::Error) {
        self.note_error(error);
    }

    fn is_to_be_reset(&self) -> bool {
        self.state.reset_on_close.load(Ordering::Relaxed)
    }

    fn is_closing(&self) {
        self.note_closed();
    }
}

impl Peer {
    /// The same peer as one stream of its connection sees it, if `multiplexed` as one of many.
    #[must_use]
    pub fn of_stream(mut self, multiplexed: bool) -> Self {
        self.multiplexed = multiplexed;
        self
    }

    /// Whether this is one of many streams of its connection, each of which the peer can leave by
    /// itself.
    #[must_use]
    pub fn is_multiplexed(&self) -> bool {
        self.multiplexed
    }

    /// Whether the connection is gone, or about to be.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state.closed.load(Ordering::Acquire)
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

    /// Ends the connection soon, with all its streams, once what was written has been sent.
    pub fn give_up(&self) {
        // Its streams end before its socket is closed, and not because the peer left them.
        self.note_closed();
        self.state.given_up.notify_one();
    }

    pub(super) async fn given_up(&self) {
        self.state.given_up.notified().await;
    }

    fn note_closed(&self) {
        self.state.closed.store(true, Ordering::Release);
    }

    fn note(&self, how: HowLeft) {
        self.state.how.fetch_max(how as u8, Ordering::Relaxed);
        // Only the first notice gives the time.
        let noticed_us = &self.state.noticed_us;
        let _ = noticed_us.compare_exchange(0, unix_us(), Ordering::Release, Ordering::Relaxed);
    }

    fn note_error(&self, error: &io::Error) {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut};
        match error.kind() {
            ConnectionReset | BrokenPipe | ConnectionAborted => self.note(HowLeft::Reset),
            // The write limit's; a connection's own timeout comes after minutes.
            TimedOut => self.note(HowLeft::TookNothing),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_notice_gives_the_time_and_a_reset_outweighs_a_fin() {
        let peer = Peer::from(SocketAddr::from(([127, 0, 0, 1], 1)));
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
