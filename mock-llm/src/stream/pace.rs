use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::gate::Load;
use crate::schedule::Schedule;

/// A connection that asks for the next token this long after it took the one before was full: a
/// connection with room asks at once, in the same turn.
const FULL: Duration = Duration::from_millis(10);

/// Waits for the turn of each token of a [`Schedule`] and tells how late it came.
#[derive(Debug)]
pub struct Pace {
    origin: Instant,
    schedule: Schedule,
    load: Load,
    alarm: Pin<Box<Sleep>>,
    target: Instant,
    asked: bool,
    /// When the token before was taken; a late first token is always the mock's own.
    taken: Option<Instant>,
    /// Until then a full connection, hence the client, kept the stream back.
    kept_back_until: Instant,
}

impl Pace {
    /// The pace of a schedule that begins at `origin`; its first turn is that of token 0. The load at
    /// the time when a token is taken decides how much longer than planned its successor takes.
    #[must_use]
    pub fn new(origin: Instant, mut schedule: Schedule, load: Load) -> Self {
        let target = origin + schedule.step(load.factor());
        Self {
            origin,
            schedule,
            load,
            alarm: Box::pin(sleep_until(target)),
            target,
            asked: false,
            taken: None,
            kept_back_until: origin,
        }
    }

    /// Completes when the token is due, with the lateness that is the mock's own: what a client
    /// costs that does not read is not counted.
    pub fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
        let now = Instant::now();
        if !self.asked {
            self.asked = true;
            if now > self.target && self.taken.is_some_and(|taken| now > taken + FULL) {
                self.kept_back_until = now;
            }
        }
        if now < self.target {
            ready!(self.alarm.as_mut().poll(cx));
        }
        let possible = self.target.max(self.kept_back_until);
        Poll::Ready(Instant::now().saturating_duration_since(possible))
    }

    /// The token is taken; the next turn is that of its successor, measured from the origin and not
    /// from now.
    pub fn advance(&mut self) {
        self.target = self.origin + self.schedule.step(self.load.factor());
        let now = Instant::now();
        self.taken = Some(now);
        self.asked = false;
        if self.target > now {
            self.alarm.as_mut().reset(self.target);
        }
    }
}
