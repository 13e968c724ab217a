//! What the driver does next: more and more streams, a hang-up of all, as many afresh.

use verdict::summary::Summary;

/// A move of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Goes on as it is.
    Stay,
    /// Asks for so many streams at once.
    Rise(u32),
    /// Hangs up on all streams.
    HangUp,
    /// Asks for so many streams afresh.
    Afresh(u32),
    /// Ends.
    Done,
}

/// Steps of 2 s each, and two looks of 2 s after them.
#[derive(Clone, Debug)]
pub struct Climb {
    steps: Vec<u32>,
    next: usize,
    until_us: u64,
}

const BASELINE_US: u64 = 4_000_000;
const HOLD_US: u64 = 2_000_000;

impl Climb {
    /// Steps with these numbers of streams.
    #[must_use]
    pub fn new(steps: Vec<u32>) -> Self {
        Self {
            steps,
            next: 0,
            until_us: BASELINE_US,
        }
    }

    /// What to do at `now_us`.
    pub fn next(&mut self, summary: &Summary, now_us: u64) -> Move {
        if now_us < self.until_us {
            return Move::Stay;
        }
        let alone = summary.steps.first();
        let first_us = alone.and_then(|step| step.load.streams.ttft_us.p50);
        let waits = self.next == 1 && alone.is_some_and(|step| step.load.streams.chunks == 0);
        if waits && now_us < BASELINE_US + 30_000_000 {
            return Move::Stay;
        }
        let hold = HOLD_US.max(4 * first_us.unwrap_or(0).min(5_000_000));
        let step = self.steps.get(self.next).copied();
        self.next += 1;
        let last = self.steps.last().copied().unwrap_or(1);
        self.until_us = now_us + hold;
        match (step, self.next - self.steps.len().min(self.next)) {
            (Some(streams), _) => {
                self.until_us += u64::from(streams) * 5_000;
                Move::Rise(streams)
            }
            (None, 1) => Move::HangUp,
            (None, 2) => {
                let served = summary.attach.as_ref().and_then(|one| one.capacity.as_ref());
                let served = served.map_or(last, |one| u32::try_from(one.streams).unwrap_or(last));
                Move::Afresh(served.clamp(1, last))
            }
            _ => Move::Done,
        }
    }
}
