use crate::load::hang_ups::HangUpStage;
use crate::names::names;

/// What becomes of a request whose client is to hang up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HangUpEnding {
    /// Its client left at its stage.
    HungUp,
    /// Its client stayed, and got everything.
    Completed,
    /// The answer ended too early, or with an error.
    Broken,
    /// It was served nothing in time, so its client gave up.
    Hanging,
    /// It was answered with an error status.
    Refused,
    /// There was no connection, or it ended before the answer began.
    Failed,
    /// The answer was over before its client could leave at its stage.
    Missed,
    /// The lab could not send it: no port, no file.
    NotSent,
    /// It was under way when the load ended.
    Cut,
}

names!(HangUpEnding {
    HungUp = "hung_up",
    Completed = "completed",
    Broken = "broken",
    Hanging = "hanging",
    Refused = "refused",
    Failed = "failed",
    Missed = "missed",
    NotSent = "not_sent",
    Cut = "cut",
});

/// What one request of the row leaves behind. Instants are microseconds on the cell's clock.
#[derive(Clone, Debug)]
pub struct HangUp {
    /// Its number in the row, from 1.
    pub number: u64,
    /// Its `x-request-id`.
    pub id: String,
    /// Where its client was to leave.
    pub stage: HangUpStage,
    /// How far it had got when its client left; `None` if nothing was served.
    pub reached: Option<HangUpStage>,
    /// What became of it.
    pub ending: HangUpEnding,
    /// The status it was answered with, if it was.
    pub status: Option<u16>,
    /// When its turn came.
    pub due_us: u64,
    /// When it was sent.
    pub sent_us: Option<u64>,
    /// When the head of the answer was there.
    pub head_us: Option<u64>,
    /// When its client left, or its end was known.
    pub left_us: u64,
    /// The same in microseconds since the Unix epoch.
    pub left_unix_us: u64,
}
