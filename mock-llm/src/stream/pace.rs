use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::gate::Load;
use crate::schedule::Schedule;

/// If a connection asks for the next token later than this after it took the last one, it was full. A
/// connection with room asks at once.
const FULL: Duration = Duration::from_millis(10);

/// Waits for the turn of each token of a [`Schedule`], and tells how late it came.
#[derive(Debug)]
pub struct Pace {
    origin: Instant,
    schedule: Schedule,
    load: Load,
    alarm: Pin<Box<Sleep>>,
    target: Instant,
    asked: bool,
    /// When the last token was taken. Before the first, lateness is always the mock's own.
    taken: Option<Instant>,
    /// Until then a full connection, and so the client, kept the stream back.
    kept_back_until: Instant,
}

impl Pace {
    /// The pace of a schedule that begins at `origin`; the first turn is that of token 0. The load when a
    /// token is taken decides how much slower than planned the next one comes.
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

    /// Completes when the token is due, with the mock's own lateness. Time that a client costs by not
    /// reading is not counted.
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

    /// The token is taken. The turn of the next one is measured from the origin and not from now.
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
