//! The three limits on how long an upstream may take.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// How long an upstream may take to connect, to say something, and to finish. [`Duration::MAX`] is no
/// limit.
///
/// There will be no further fields: another limit would be a method of the [`Relay`](crate::Relay). So a
/// literal with all fields stays valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From dialling to a connection, the lookup of a name and TLS included.
    pub connect: Duration,
    /// For the response head, and then between any two chunks. Counted only while the relay waits for
    /// the upstream. A client that reads slowly, or not at all, does not use it up; `total` or a write
    /// timeout of the server ends such a client.
    pub idle: Duration,
    /// For the whole exchange, from the permit to the last byte, also if the client has stopped reading.
    /// Upstream and permit are then let go. Behind what is on its way already, the client finds the error
    /// event or the transfer broken off. Its connection stays open until it reads on or the server
    /// closes it.
    pub total: Duration,
}

impl Timeouts {
    /// The same with another limit on connecting.
    #[must_use]
    pub const fn with_connect(mut self, connect: Duration) -> Self {
        self.connect = connect;
        self
    }

    /// The same with another limit on silence.
    #[must_use]
    pub const fn with_idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// The same with another limit on the whole exchange.
    #[must_use]
    pub const fn with_total(mut self, total: Duration) -> Self {
        self.total = total;
        self
    }
}

impl Default for Timeouts {
    /// Connect 5 s, idle 60 s, total 600 s.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            idle: Duration::from_secs(60),
            total: Duration::from_secs(600),
        }
    }
}

/// `limit` after `start`; about thirty years after it, if the clock cannot count so far.
pub(crate) fn after(start: Instant, limit: Duration) -> Instant {
    /// As `tokio::time::sleep` has it for such a limit.
    const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);
    start.checked_add(limit).unwrap_or_else(|| start + FAR)
}

/// A timer for the upstream's silence. Runs only while the relay waits for the upstream.
pub(crate) struct IdleTimer {
    limit: Duration,
    sleep: Pin<Box<Sleep>>,
    waiting_since: Option<Instant>,
}

impl IdleTimer {
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit,
            sleep: Box::pin(tokio::time::sleep(limit)),
            waiting_since: None,
        }
    }

    /// Called when the upstream has nothing: starts the timer, or goes on with it. Ready when the limit
    /// is over, with the time waited.
    pub(crate) fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
        let since = *self.waiting_since.get_or_insert_with(|| {
            let now = Instant::now();
            self.sleep.as_mut().reset(after(now, self.limit));
            now
        });
        ready!(self.sleep.as_mut().poll(cx));
        Poll::Ready(since.elapsed())
    }

    /// Called when the upstream said something.
    pub(crate) fn stop(&mut self) {
        self.waiting_since = None;
    }
}
