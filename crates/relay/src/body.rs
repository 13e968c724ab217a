//! The client's body: the upstream's bytes as they arrive, and an end that tells the client how it went.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use futures_util::Stream;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::ending::{Ending, Farewell, farewell, hang_up};
use crate::error::{BoxError, RelayError};
use crate::framing::Framing;
use crate::ledger::{EndedExchange, OpenStream};
use crate::permits::Permit;
use crate::sse::SseTail;
use crate::timeouts::{IdleTimer, Timeouts};

type Upstream = Pin<Box<dyn Stream<Item = Result<Bytes, BoxError>> + Send>>;

/// A relayed stream, made by [`Relay::guard`](crate::Relay::guard).
///
/// It owns the upstream's connection and the permit. Both are let go as soon as the stream ends, in
/// whatever way, even if this object lives on. Dropping it is the client's hang-up: it closes the
/// upstream's connection at once, or over HTTP/2 resets the stream. Nothing is buffered: the upstream
/// is read only when the client's connection takes more, so a slow client slows the upstream.
///
/// A server does not poll the body of a client that has stopped reading. So a small task waits for
/// [`Timeouts::total`], and lets go of upstream and permit then. The client's connection is its
/// server's to close.
pub struct GuardedBody {
    stream: Arc<Mutex<Guarded>>,
    /// The task that ends the stream at its deadline, if it has one.
    deadline: Option<JoinHandle<()>>,
    /// The chunk that [`first_byte`](Self::first_byte) has waited for, until the client gets it.
    first: Option<Bytes>,
}

/// What the body and its deadline share. Only [`locked`] locks it, for one poll or for one end.
struct Guarded {
    /// `None` after the stream has ended.
    live: Option<LiveStream>,
    /// The ending, until the app is told.
    ended: Option<EndedExchange>,
    /// The failure, until the client is told.
    failed: Option<Failed>,
    /// Wakes the task that waits for the upstream, when the deadline comes.
    waiting: Option<Waker>,
}

struct Failed {
    error: RelayError,
    /// The event that tells the client. Without one, the transfer is broken off.
    event: Option<Bytes>,
}

struct LiveStream {
    upstream: Upstream,
    framing: Framing,
    tail: SseTail,
    idle: IdleTimer,
    started: Instant,
    timeouts: Timeouts,
    book: OpenStream,
    permit: Permit,
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
        let live = LiveStream {
            upstream,
            framing,
            tail: SseTail::default(),
            idle: IdleTimer::new(timeouts.idle),
            started,
            timeouts,
            book,
            permit,
        };
        let stream = Arc::new(Mutex::new(Guarded {
            live: Some(live),
            ended: None,
            failed: None,
            waiting: None,
        }));
        let is_open = locked(&stream, |guarded| {
            // A server does not poll a body that it knows to be empty.
            guarded.end_if_whole();
            guarded.live.is_some()
        });
        let deadline = started.checked_add(timeouts.total).filter(|_| is_open);
        Self {
            deadline: deadline.map(|at| tokio::spawn(end_at(at, Arc::clone(&stream)))),
            stream,
            first: None,
        }
    }

    /// Whether the stream has ended. The upstream and the permit are let go by then.
    pub fn is_ended(&self) -> bool {
        locked(&self.stream, |guarded| guarded.live.is_none())
    }

    /// Waits for the upstream's first chunk. A failure before it is an error here, where another answer
    /// can still be given, and not the end of a stream that has begun.
    ///
    /// # Errors
    /// [`RelayError`] if the upstream breaks, falls silent or ends without a terminal event before
    /// that chunk. The exchange is then counted as ended, and upstream and permit are let go.
    ///
    /// # Cancel safety
    /// Dropping the future drops the body, which is the client's hang-up.
    pub async fn first_byte(mut self) -> Result<Self, RelayError> {
        if self.first.is_none() {
            let stream = &self.stream;
            self.first = poll_fn(|cx| locked(stream, |guarded| guarded.poll_next(cx))).await;
            if self.first.is_none()
                && let Some(failed) = locked(&self.stream, |guarded| guarded.failed.take())
            {
                return Err(failed.error);
            }
        }
        Ok(self)
    }
}

/// Ends the stream at its deadline, also if nobody polls the body.
async fn end_at(deadline: Instant, stream: Arc<Mutex<Guarded>>) {
    tokio::time::sleep_until(deadline).await;
    let waiting = locked(&stream, |guarded| {
        if let Some(error) = guarded.live.as_ref().map(LiveStream::late) {
            guarded.end(Some(error));
        }
        guarded.waiting.take()
    });
    if let Some(waiting) = waiting {
        waiting.wake();
    }
}

/// Locks the stream for `act`. If that ended the stream, tells the app after unlocking.
fn locked<T>(stream: &Mutex<Guarded>, act: impl FnOnce(&mut Guarded) -> T) -> T {
    let mut guarded = stream.lock().unwrap_or_else(PoisonError::into_inner);
    let outcome = act(&mut guarded);
    let ended = guarded.ended.take();
    drop(guarded);
    if let Some(ended) = ended {
        ended.tell();
    }
    outcome
}

impl Guarded {
    /// The next chunk, or `None` at the end; a failure is then in `failed`.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some(live) = &mut self.live else {
            return Poll::Ready(None);
        };
        match live.poll_next(cx) {
            Poll::Pending => {
                match &mut self.waiting {
                    Some(waiting) => waiting.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
            Poll::Ready(Next::Chunk(chunk)) => {
                self.end_if_whole();
                Poll::Ready(Some(chunk))
            }
            Poll::Ready(Next::End(failure)) => {
                self.end(failure);
                Poll::Ready(None)
            }
        }
    }

    /// Ends a body of known length after its last byte, because a server drops it then and does not ask
    /// for the end.
    fn end_if_whole(&mut self) {
        let whole = |live: &LiveStream| live.framing.length() == Some(live.book.bytes);
        if self.live.as_ref().is_some_and(whole) {
            self.end(None);
        }
    }

    /// Lets go of upstream and permit; keeps what the client is to get last.
    fn end(&mut self, failure: Option<RelayError>) {
        let Some(live) = self.live.take() else {
            return;
        };
        let bytes = live.book.bytes;
        let (error, event) = match farewell(live.framing, &live.tail, bytes, failure) {
            Farewell::Clean(ending) => return self.let_go(live, ending),
            Farewell::Event(error) => {
                let event = closing_event(&live.tail, &error);
                (error, Some(event))
            }
            Farewell::Abort(error) => (error, None),
        };
        let message = error.with_causes();
        tracing::warn!(bytes, error = message, "a stream failed");
        self.let_go(live, Ending::of(&error));
        self.failed = Some(Failed { error, event });
    }

    /// The client has dropped the body.
    fn hang_up(&mut self) {
        if let Some(live) = self.live.take() {
            let ending = hang_up(live.framing, &live.tail);
            self.let_go(live, ending);
        }
    }

    /// Lets go of the upstream, then counts the ending, then gives the permit back. The next owner of
    /// the permit finds the connection closed and the counters right.
    fn let_go(&mut self, live: LiveStream, ending: Ending) {
        let LiveStream {
            upstream,
            book,
            permit,
            ..
        } = live;
        drop(upstream);
        self.ended = Some(book.end(ending));
        drop(permit);
    }
}

impl Stream for GuardedBody {
    type Item = Result<Bytes, RelayError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        locked(&self.stream, |guarded| {
            if let Some(chunk) = ready!(guarded.poll_next(cx)) {
                return Poll::Ready(Some(Ok(chunk)));
            }
            let failed = guarded.failed.take();
            Poll::Ready(failed.map(|Failed { error, event }| event.ok_or(error)))
        })
    }
}

impl LiveStream {
    fn late(&self) -> RelayError {
        RelayError::Deadline {
            waited: self.started.elapsed(),
            limit: self.timeouts.total,
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        // The task that waits for the deadline may not have run yet.
        if self.started.elapsed() >= self.timeouts.total {
            return Poll::Ready(Next::End(Some(self.late())));
        }
        // The upstream is polled before its timer: a chunk may have come while this task could not run.
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

/// The error event, in the manner of the stream. An event that was cut in its middle is closed first,
/// because the error would be part of its last line otherwise.
fn closing_event(tail: &SseTail, error: &RelayError) -> Bytes {
    let event = if tail.has_names() {
        error.to_named_event()
    } else {
        error.to_event()
    };
    if tail.at_boundary() {
        return event;
    }
    [&b"\n\n"[..], &event].concat().into()
}

impl Drop for GuardedBody {
    fn drop(&mut self) {
        if let Some(deadline) = &self.deadline {
            deadline.abort();
        }
        locked(&self.stream, Guarded::hang_up);
    }
}

impl fmt::Debug for GuardedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedBody")
            .field("ended", &self.is_ended())
            .finish_non_exhaustive()
    }
}
