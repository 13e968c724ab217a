use crate::names::names;

/// What became of one check. Every check that was due ends as exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Answered with a status from 200 to 399, as a kubelet counts success.
    Ok,
    /// Answered with another status.
    BadStatus,
    /// Not answered within the timeout, counted from when it was due.
    Timeout,
    /// No connection.
    ConnectFailure,
    /// The connection ended before the answer did, or the run was ended while it waited.
    Aborted,
    /// The probe itself could not send it: no port or no file left.
    NotSent,
    /// Not sent, because too many checks of its endpoint were in flight. Only at a service that is not the
    /// lab's own.
    Withheld,
    /// A request of the load that was in flight when the load ended. Never a check.
    Unanswered,
}

names!(Outcome {
    Ok = "ok",
    BadStatus = "bad_status",
    Timeout = "timeout",
    ConnectFailure = "connect_failure",
    Aborted = "aborted",
    NotSent = "not_sent",
    Withheld = "withheld",
    Unanswered = "unanswered",
});

/// One check of one endpoint. Instants are microseconds on the cell's clock.
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    /// Which endpoint, by position.
    pub endpoint: usize,
    /// When the plan had it.
    pub due_us: u64,
    /// When it was sent; of one that was withheld, when the oldest check that waits was due.
    pub sent_us: u64,
    /// When its outcome was known.
    pub done_us: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// The status it was answered with, if it was.
    pub status: Option<u16>,
}

impl Tick {
    /// From due to done; what is not ok counts as no less than `timeout_us`, since failing fast earns nothing.
    /// A check that was withheld counts with the age of the oldest one that waits.
    #[must_use]
    pub fn response_us(&self, timeout_us: u64) -> u64 {
        let from_us = match self.outcome {
            Outcome::Withheld => self.sent_us,
            _ => self.due_us,
        };
        self.at_least(self.done_us.saturating_sub(from_us), timeout_us)
    }

    /// From sent to done, likewise.
    #[must_use]
    pub fn service_us(&self, timeout_us: u64) -> u64 {
        self.at_least(self.done_us.saturating_sub(self.sent_us), timeout_us)
    }

    /// How late it was sent.
    #[must_use]
    pub fn dispatch_us(&self) -> u64 {
        self.sent_us.saturating_sub(self.due_us)
    }

    fn at_least(&self, us: u64, timeout_us: u64) -> u64 {
        match self.outcome {
            // What was cut off at its age may not be said to have waited longer.
            Outcome::Ok | Outcome::Unanswered | Outcome::Withheld => us,
            _ => us.max(timeout_us),
        }
    }
}
