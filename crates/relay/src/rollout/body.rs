//! The body on its way to the client, watched for its first byte and its end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::books::RequestEntry;
use super::outcome::{BodyEnd, BodyProgress};
use crate::framing::Terminal;

/// Passes everything on as it comes. Closes its entry when the body ends or is dropped.
#[derive(Debug)]
pub(super) struct WatchedBody {
    inner: Body,
    progress: BodyProgress,
    entry: RequestEntry,
}

impl WatchedBody {
    pub(super) fn new(
        inner: Body,
        head: &http::response::Parts,
        terminal: Terminal,
        entry: RequestEntry,
    ) -> Self {
        let mut watched = Self {
            inner,
            progress: BodyProgress::new(head, terminal),
            entry,
        };
        // A server does not poll a body that it knows to be empty.
        if watched.progress.is_whole() || watched.inner.is_end_stream() {
            watched.close(BodyEnd::Eof);
        }
        watched
    }

    fn close(&mut self, end: BodyEnd) {
        self.entry.close(self.progress.outcome(end));
    }
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &frame {
            None => self.close(BodyEnd::Eof),
            Some(Err(_)) => self.close(BodyEnd::Broken),
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref()
                    && self.progress.pass(data)
                {
                    self.entry.first_byte();
                }
                if self.inner.is_end_stream() {
                    self.close(BodyEnd::Eof);
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        self.close(BodyEnd::Dropped);
    }
}
