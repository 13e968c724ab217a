//! The three limits on how long an upstream may take.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// How long an upstream may take to connect, to say something, and to finish. [`Duration::MAX`] is no
/// limit.
///
/// These three are all that there will be: a further limit would be said to the
/// [`Relay`](crate::Relay), so a literal with all fields stays right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From dialling to a connection, the lookup of a name and TLS included.
    pub connect: Duration,
    /// For the response head, and then between any two chunks. Counted only while the relay waits
    /// for the upstream: a client that reads slowly, or not at all, does not use it up. What bounds
    /// such a client is `total`, or a limit on writes in the server.
    pub idle: Duration,
    /// For the whole exchange, from the permit to the last byte. It holds for a client that has stopped
    /// reading as well: upstream and permit are let go then, and the client finds the error event, or
    /// the transfer broken off, behind what is on its way already. Its own connection stays open
    /// until it reads on or the server gives it up.
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

/// `limit` after `start`; for a limit beyond what the clock can say, so far off that nobody sees it.
pub(crate) fn after(start: Instant, limit: Duration) -> Instant {
    /// About thirty years, which is what `tokio::time::sleep` takes such a limit for.
    const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);
    start.checked_add(limit).unwrap_or_else(|| start + FAR)
}

/// Runs only while somebody waits for the upstream.
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

    /// The upstream has nothing yet: starts the timer, or goes on with it. Ready with the time
    /// waited once that exceeds the limit.
    pub(crate) fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
        let since = *self.waiting_since.get_or_insert_with(|| {
            let now = Instant::now();
            self.sleep.as_mut().reset(after(now, self.limit));
            now
        });
        ready!(self.sleep.as_mut().poll(cx));
        Poll::Ready(since.elapsed())
    }

    /// The upstream said something.
    pub(crate) fn stop(&mut self) {
        self.waiting_since = None;
    }
}
