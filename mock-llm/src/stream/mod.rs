//! The body of an answer. It performs acts at their pace and keeps the account.

mod pace;
mod plot;
mod script;
mod slices;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::time::{Sleep, sleep};

use crate::histogram::Times;
use crate::ledger::{Cause, Guard};
use crate::socket::FLUSH;

pub use pace::Pace;
pub use plot::{Act, Plot, whole};
pub use script::Script;
pub use slices::Slices;

/// The error that makes the connection close without the end of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection is broken on purpose")]
pub struct Broken;

/// Performs acts at their pace and keeps the account. Dropping it closes the account.
#[derive(Debug)]
pub struct TokenStream<A> {
    acts: A,
    pace: Pace,
    slices: Slices,
    lateness: Arc<Times>,
    guard: Guard,
    waiting: bool,
    late: Option<Duration>,
    breaking: Option<Breaking>,
}

/// How the connection is about to be broken.
#[derive(Debug)]
enum Breaking {
    /// By an error, which comes next.
    Now,
    /// By an error, after the socket has got what was written.
    Soon(Pin<Box<Sleep>>),
    /// By the connection itself, because it has other streams too.
    ByConnection,
}

impl<A: Iterator<Item = Act>> TokenStream<A> {
    /// The performance of `acts`.
    #[must_use]
    pub fn new(acts: A, pace: Pace, slices: Slices, lateness: Arc<Times>, guard: Guard) -> Self {
        Self {
            acts,
            pace,
            slices,
            lateness,
            guard,
            waiting: false,
            late: None,
            breaking: None,
        }
    }

    /// Begins to break the connection. If the connection has other streams, a cut breaks this stream only.
    /// True if an error comes next.
    fn break_off(&mut self, cause: Cause) -> bool {
        self.guard.declare(cause);
        let (reset, one_of_many) = (cause == Cause::Reset, self.guard.is_multiplexed());
        if reset {
            self.guard.reset_on_close();
        }
        let breaking = match (one_of_many, reset) {
            (false, _) => Breaking::Now,
            (true, false) => Breaking::Soon(Box::pin(sleep(FLUSH))),
            (true, true) => {
                self.guard.give_connection_up();
                Breaking::ByConnection
            }
        };
        matches!(self.breaking.insert(breaking), Breaking::Now)
    }

    fn tokens(&mut self, event: Bytes, count: u64, last: bool) {
        if let Some(late) = self.late.take() {
            self.lateness.record(late);
            self.pace.advance();
        }
        self.guard.tokens_written(count, last);
        self.slices.put(event);
    }
}

impl<A: Iterator<Item = Act> + Unpin> Stream for TokenStream<A> {
    type Item = Result<Bytes, Broken>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(piece) = ready!(this.slices.poll_piece(cx)) {
                return Poll::Ready(Some(Ok(piece)));
            }
            match &mut this.breaking {
                None => {}
                Some(Breaking::Now) => return Poll::Ready(Some(Err(Broken))),
                Some(Breaking::Soon(flushed)) => {
                    ready!(flushed.as_mut().poll(cx));
                    return Poll::Ready(Some(Err(Broken)));
                }
                Some(Breaking::ByConnection) => return Poll::Pending,
            }
            if this.waiting {
                this.late = Some(ready!(this.pace.poll_due(cx)));
                this.waiting = false;
            }
            match this.acts.next() {
                Some(Act::Wait) => this.waiting = true,
                Some(Act::Write(bytes)) => this.slices.put(bytes),
                Some(Act::Tokens { event, count, last }) => this.tokens(event, count, last),
                Some(Act::Terminal(bytes)) => {
                    this.guard.terminal_written();
                    this.slices.put(bytes);
                }
                // Only the connection wakes this task again, when the client leaves.
                Some(Act::Stall) => return Poll::Pending,
                Some(Act::Break(cause)) => {
                    if this.break_off(cause) {
                        // At an error the connection drops what it has not written. While the body is
                        // pending it writes that first.
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
                Some(Act::End(cause)) => {
                    this.guard.declare(cause);
                    return Poll::Ready(None);
                }
                None => return Poll::Ready(None),
            }
        }
    }
}

#[cfg(test)]
mod tests;
