use std::io;

/// What a service makes of the events of a connection, and what it decides about the connection. Whoever
/// serves the connection calls it, so no method may block.
pub trait ConnectionObserver: Send + Sync + Unpin + 'static {
    /// Whether nothing more is to be read for now. Whoever serves the connection reads again by itself,
    /// once its response is out.
    fn is_unread(&self) -> bool {
        false
    }

    /// The other end has sent FIN: it closed, or shut down its writing half.
    fn has_read_the_end(&self) {}

    /// A read has failed.
    fn read_failed(&self, _error: &io::Error) {}

    /// A write has failed; with [`io::ErrorKind::TimedOut`] if the other end took nothing for as long as
    /// [`WriteLimit`](super::WriteLimit) allows.
    fn write_failed(&self, _error: &io::Error) {}

    /// Whether the connection is to be closed by a reset and not by a FIN.
    fn is_to_be_reset(&self) -> bool {
        false
    }

    /// The connection is about to be closed on this side.
    fn is_closing(&self) {}
}
