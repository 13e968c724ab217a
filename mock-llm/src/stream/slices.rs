use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Sleep, sleep};

/// The pause between two pieces. The reader takes one piece in it; otherwise it would find both in its
/// socket's buffer and see no cut.
const PAUSE: Duration = Duration::from_millis(1);

/// Cuts what is to be written into pieces, each of which leaves in a packet of its own.
#[derive(Debug)]
pub struct Slices {
    size: Option<usize>,
    rest: Bytes,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Slices {
    /// Pieces of at most `size` bytes, or everything as it comes.
    #[must_use]
    pub fn new(size: Option<usize>) -> Self {
        Self {
            size,
            rest: Bytes::new(),
            pause: None,
        }
    }

    /// The next bytes to cut up. All earlier ones must have been taken.
    pub fn put(&mut self, bytes: Bytes) {
        debug_assert!(self.rest.is_empty(), "bytes would be lost");
        self.rest = bytes;
    }

    /// The next piece; `None` when there is none left.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let Some(size) = self.size else {
            return Poll::Ready(Some(std::mem::take(&mut self.rest)));
        };
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
        }
        self.pause = Some(Box::pin(sleep(PAUSE)));
        Poll::Ready(Some(self.rest.split_to(size.min(self.rest.len()))))
    }
}
