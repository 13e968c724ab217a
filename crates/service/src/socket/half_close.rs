use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Peer;

/// Keeps a connection from being read; made by [`Peer::half_close`].
#[derive(Debug)]
pub struct HalfClose {
    unread: Arc<AtomicBool>,
}

impl Peer {
    /// Reads nothing more from this connection while the returned value lives, so that nobody
    /// notices how the peer leaves until something is written to it. hyper does the same in the
    /// middle of a response if it is built with `half_close(true)`, for the sake of clients that
    /// shut down their writing half and wait; [`axum::serve()`] does not offer that setting.
    ///
    /// For the time from the end of the request to the end of the response: a request that is not
    /// read whole would never be.
    #[must_use = "dropped at once, it changes nothing"]
    pub fn half_close(&self) -> HalfClose {
        self.unread.store(true, Ordering::Relaxed);
        HalfClose {
            unread: Arc::clone(&self.unread),
        }
    }
}

impl Drop for HalfClose {
    fn drop(&mut self) {
        self.unread.store(false, Ordering::Relaxed);
    }
}
