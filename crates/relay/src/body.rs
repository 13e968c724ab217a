//! The client's body: the upstream's bytes as they arrive, watched, and ended so that the client knows.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use tokio::time::{Instant, Sleep};

use crate::ending::{Ending, Farewell, farewell, hang_up};
use crate::error::{BoxError, RelayError};
use crate::framing::Framing;
use crate::ledger::OpenStream;
use crate::permits::Permit;
use crate::sse::SseTail;
use crate::timeouts::{IdleTimer, Timeouts, after};

type Upstream = Pin<Box<dyn Stream<Item = Result<Bytes, BoxError>> + Send>>;

/// A relayed stream, made by [`Relay::guard`](crate::Relay::guard).
///
/// It owns the upstream's connection and the permit. Both are let go as soon as the stream ends,
/// in whatever way, even if this object lives on; dropping it is the client's hang-up and closes the
/// upstream's connection at once, or over HTTP/2 resets the stream. Nothing is buffered and no task is spawned: an upstream is read
/// only when the client's connection takes more, so a slow client slows the upstream.
pub struct GuardedBody {
    /// `None` once the stream has ended.
    live: Option<Live>,
    /// What [`first_byte`](Self::first_byte) has waited for, until the client gets it.
    first: Option<Bytes>,
}

struct Live {
    upstream: Upstream,
    framing: Framing,
    tail: SseTail,
    idle: IdleTimer,
    deadline: Pin<Box<Sleep>>,
    started: Instant,
    timeouts: Timeouts,
    book: OpenStream,
    /// Declared last: whoever gets it next finds the upstream's connection closed.
    _permit: Permit,
}

enum Next {
    Chunk(Bytes),
    End(Option<RelayError>),
}

impl GuardedBody {
    pub(crate) fn new(
        upstream: Upstream,
        permit: Permit,
        framing: Framing,
        timeouts: Timeouts,
        book: OpenStream,
    ) -> Self {
        let started = permit.granted();
        let live = Live {
            upstream,
            framing,
            tail: SseTail::default(),
            idle: IdleTimer::new(timeouts.idle),
            deadline: Box::pin(tokio::time::sleep_until(after(started, timeouts.total))),
            started,
            timeouts,
            book,
            _permit: permit,
        };
        let mut body = Self {
            live: Some(live),
            first: None,
        };
        // A server does not poll a body that it knows to be empty.
        body.end_if_whole();
        body
    }

    /// Whether the stream has ended, and the upstream and the permit have been let go.
    pub fn is_ended(&self) -> bool {
        self.live.is_none()
    }

    /// Waits for the upstream's first chunk, so that a failure before it is an error here, where
    /// something else can still be answered, and not the end of a stream that has begun.
    ///
    /// # Errors
    /// [`RelayError`] if the upstream breaks, falls silent or ends without a terminal event before
    /// that chunk; the exchange is then counted as ended, and upstream and permit are let go.
    ///
    /// # Cancel safety
    /// Dropping the future drops the body, which is the client's hang-up.
    pub async fn first_byte(mut self) -> Result<Self, RelayError> {
        if let (None, Some(live)) = (&self.first, &mut self.live) {
            match poll_fn(|cx| live.poll_next(cx)).await {
                Next::Chunk(chunk) => {
                    self.first = Some(chunk);
                    self.end_if_whole();
                }
                Next::End(failure) => self.end_before_the_first_byte(failure)?,
            }
        }
        Ok(self)
    }

    fn end_before_the_first_byte(&mut self, failure: Option<RelayError>) -> Result<(), RelayError> {
        let Some(Live {
            upstream,
            framing,
            tail,
            book,
            _permit,
            ..
        }) = self.live.take()
        else {
            return Ok(());
        };
        drop(upstream);
        match farewell(framing, &tail, book.bytes, failure) {
            Farewell::Clean(ending) => {
                book.end(ending);
                Ok(())
            }
            Farewell::Event(error) | Farewell::Abort(error) => {
                book.end(Ending::of(&error));
                Err(error)
            }
        }
    }

    /// A server drops a body of known length after its last byte without asking for the end.
    fn end_if_whole(&mut self) {
        let whole = |live: &Live| live.framing.length() == Some(live.book.bytes);
        if self.live.as_ref().is_some_and(whole) {
            self.end(None);
        }
    }

    /// Lets go of upstream and permit; returns what the client is to get last.
    fn end(&mut self, failure: Option<RelayError>) -> Option<Result<Bytes, RelayError>> {
        let Live {
            upstream,
            framing,
            tail,
            book,
            _permit,
            ..
        } = self.live.take()?;
        drop(upstream);
        match farewell(framing, &tail, book.bytes, failure) {
            Farewell::Clean(ending) => {
                book.end(ending);
                None
            }
            Farewell::Event(error) => {
                let (bytes, message) = (book.bytes, error.message());
                tracing::warn!(bytes, error = message, "stream ended by an error event");
                book.end(Ending::of(&error));
                Some(Ok(closing_event(&tail, &error)))
            }
            Farewell::Abort(error) => {
                let (bytes, message) = (book.bytes, error.message());
                tracing::warn!(bytes, error = message, "body broken off");
                book.end(Ending::of(&error));
                Some(Err(error))
            }
        }
    }
}

impl Stream for GuardedBody {
    type Item = Result<Bytes, RelayError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let Some(live) = &mut self.live else {
            return Poll::Ready(None);
        };
        match ready!(live.poll_next(cx)) {
            Next::Chunk(chunk) => {
                self.end_if_whole();
                Poll::Ready(Some(Ok(chunk)))
            }
            Next::End(failure) => Poll::Ready(self.end(failure)),
        }
    }
}

impl Live {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        if self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Next::End(Some(RelayError::Deadline {
                waited: self.started.elapsed(),
                limit: self.timeouts.total,
            })));
        }
        // The upstream before its timer: a chunk that came while this task could not run is there.
        while let Poll::Ready(next) = self.upstream.as_mut().poll_next(cx) {
            self.idle.stop();
            match next {
                // An empty chunk would end a chunked transfer.
                Some(Ok(chunk)) if chunk.is_empty() => {}
                Some(Ok(chunk)) => {
                    self.book.relayed(chunk.len());
                    if let Framing::Sse { .. } = self.framing {
                        self.tail.push(&chunk);
                    }
                    return Poll::Ready(Next::Chunk(chunk));
                }
                Some(Err(source)) => {
                    return Poll::Ready(Next::End(Some(RelayError::Upstream { source })));
                }
                None => return Poll::Ready(Next::End(None)),
            }
        }
        let waited = ready!(self.idle.poll_waiting(cx));
        let limit = self.timeouts.idle;
        Poll::Ready(Next::End(Some(RelayError::Idle { waited, limit })))
    }
}

/// The error event, behind whatever closes an event that was cut in its middle: glued to a half
/// line it would be part of that line.
fn closing_event(tail: &SseTail, error: &RelayError) -> Bytes {
    if tail.at_boundary() {
        return error.to_event();
    }
    [&b"\n\n"[..], &error.to_event()].concat().into()
}

impl Drop for GuardedBody {
    fn drop(&mut self) {
        if let Some(Live {
            upstream,
            framing,
            tail,
            book,
            _permit,
            ..
        }) = self.live.take()
        {
            drop(upstream);
            book.end(hang_up(framing, &tail));
        }
    }
}

impl fmt::Debug for GuardedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedBody")
            .field("ended", &self.is_ended())
            .finish_non_exhaustive()
    }
}
