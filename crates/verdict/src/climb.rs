//! How a target is asked for more and more streams: what its driver does next, from what was measured so far.
//!
//! One stream alone comes first. Then their number grows until something changes, and no further once it is
//! certain what that is. No stream hangs up before the last step is over, because it might still hold its
//! thread. Then all hang up, and as many as were served are asked for afresh.

use std::time::Duration;

use crate::judge::signs::{Alone, Pace, StepSigns, steps_of_target};
use crate::scenario::{Cell, Target};
use crate::summary::{Family, Step, Summary};

/// Streams of the largest step, unless the capacity is looked for or the caller says so.
const DEFAULT_MOST: u32 = 128;

/// Least time of a step, in which each health URL is asked six times at the usual rate.
const LEAST_STEP: Duration = Duration::from_millis(1_300);

/// A sign must be there for so long before a step is ended for it.
const CONFIRMED: Duration = Duration::from_millis(1_000);

/// Longest time that is spent on the gaps of one stream alone.
const MOST_GAPS: Duration = Duration::from_secs(4);

/// So many steps must agree on the capacity: of several worker processes one may be full while another is not.
const AGREE: u64 = 2;

/// A step without a new first byte for so long serves no more than it does.
const STANDS: Duration = Duration::from_millis(1_000);

/// However long an answer takes, the number of streams grows by no more than this from step to step.
const MOST_FACTOR: u32 = 12;

/// All steps together should take no longer, unless the capacity is looked for.
const BUDGET: Duration = Duration::from_secs(16);

/// The same if the capacity is looked for.
const CAPACITY_BUDGET: Duration = Duration::from_secs(36);

/// Least time of a look at health after a hang-up.
const LEAST_LOOK: Duration = Duration::from_secs(1);

/// Least time of the streams that are asked for afresh.
const LEAST_AFRESH: Duration = Duration::from_millis(500);

/// How long the first stream of a step may take to its first byte before nobody waits for it any more, if one
/// was served before.
const FIRST_BYTE_WITHIN: Duration = Duration::from_secs(10);

/// What the driver does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Nothing changes yet.
    Stay,
    /// So many streams at once, in the next step. Those that are open go on.
    Rise(u32),
    /// The load goes on, and nothing more is added.
    Tail,
    /// All clients hang up.
    HangUp,
    /// So many streams are asked for afresh.
    Afresh(u32),
    /// It is over.
    Done,
}

/// Where the climb is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Baseline,
    Step,
    Tail,
    HangUp,
    Afresh,
    Settle,
}

/// The way up a target, and down again.
#[derive(Clone, Debug)]
pub struct Climb<'a> {
    target: &'a Target,
    /// Steps that are run whatever is seen.
    named: Vec<u32>,
    hold: Duration,
    timeout: Duration,
    baseline: Duration,
    stage: Stage,
    /// When the stage began, on the cell's clock.
    since_us: u64,
    /// When the first stream was asked for.
    first_us: u64,
    /// When the step that is under way first hurt, if it has since then.
    hurts_since_us: Option<u64>,
    /// How many were served at once at the last look that served more, and when that was.
    served: (u64, u64),
    /// The streams of each step that has begun.
    steps: Vec<u32>,
    /// Why the climb ended before its time was over.
    not_begun: Option<u32>,
    is_not_afresh: bool,
}

impl<'a> Climb<'a> {
    /// At the beginning.
    #[must_use]
    pub fn new(target: &'a Target, cell: &Cell) -> Self {
        let named = cell.steps.iter().filter_map(|step| step.streams);
        Self {
            target,
            named: named.collect(),
            hold: cell.phases.hold,
            timeout: cell.probe.timeout,
            baseline: cell.phases.baseline,
            stage: Stage::Baseline,
            since_us: 0,
            first_us: 0,
            hurts_since_us: None,
            served: (0, 0),
            steps: Vec::new(),
            not_begun: None,
            is_not_afresh: false,
        }
    }

    /// The streams of each step that has begun.
    #[must_use]
    pub fn steps(&self) -> &[u32] {
        &self.steps
    }

    /// The streams of a step that `max_time` left no time for.
    #[must_use]
    pub fn not_begun(&self) -> Option<u32> {
        self.not_begun
    }

    /// Whether `max_time` left no time to ask for streams afresh.
    #[must_use]
    pub fn is_not_afresh(&self) -> bool {
        self.is_not_afresh
    }

    /// What the driver does next, from what was measured by `now_us` on the cell's clock. Whatever it says is
    /// taken as done. `is_decided` is true if every check that was due in a hold has its outcome.
    pub fn next(&mut self, summary: &Summary, now_us: u64, is_decided: bool) -> Move {
        let spent = Duration::from_micros(now_us.saturating_sub(self.since_us));
        let next = match self.stage {
            Stage::Baseline if spent >= self.baseline => Move::Rise(1),
            Stage::Baseline => Move::Stay,
            Stage::Step => self.in_step(summary, now_us),
            Stage::Tail if is_decided || spent >= self.target.tail(self.timeout) => Move::HangUp,
            Stage::Tail => Move::Stay,
            Stage::HangUp => self.after_hang_up(summary, now_us, spent),
            Stage::Afresh => self.in_afresh(summary, now_us),
            Stage::Settle if spent >= LEAST_AFRESH && self.is_released(summary) => Move::Done,
            Stage::Settle if spent >= self.target.settle => Move::Done,
            Stage::Settle => Move::Stay,
        };
        self.take(next, now_us);
        next
    }

    fn take(&mut self, next: Move, now_us: u64) {
        let stage = match next {
            Move::Stay | Move::Done => return,
            Move::Rise(streams) => {
                if self.steps.is_empty() {
                    self.first_us = now_us;
                }
                self.steps.push(streams);
                Stage::Step
            }
            Move::Tail => Stage::Tail,
            Move::HangUp if self.stage == Stage::Afresh => Stage::Settle,
            Move::HangUp => Stage::HangUp,
            Move::Afresh(_) => Stage::Afresh,
        };
        self.stage = stage;
        self.since_us = now_us;
        self.hurts_since_us = None;
        self.served = (0, now_us);
    }

    fn in_step(&mut self, summary: &Summary, now_us: u64) -> Move {
        let Some(step) = summary
            .steps
            .last()
            .filter(|_| summary.steps.len() == self.steps.len())
        else {
            return Move::Stay;
        };
        let held = Duration::from_micros(now_us.saturating_sub(step.load.hold_started_us));
        if now_us < step.load.hold_started_us || step.load.hold_started_us == 0 {
            return Move::Stay;
        }
        let signs = steps_of_target(summary);
        let Some(now) = signs.last() else {
            return Move::Stay;
        };
        self.look_at(now, step, now_us);
        if self.is_over(summary, (step, now), (held, now_us)) {
            self.after_step(summary, &signs, now_us)
        } else {
            Move::Stay
        }
    }

    fn look_at(&mut self, now: &StepSigns, step: &Step, now_us: u64) {
        match (now.hurts(), self.hurts_since_us) {
            (true, None) => self.hurts_since_us = Some(now_us),
            (false, Some(_)) => self.hurts_since_us = None,
            _ => {}
        }
        if step.load.streams.receiving_peak > self.served.0 {
            self.served = (step.load.streams.receiving_peak, now_us);
        }
    }

    /// Whether the signs of the step that is under way are certain.
    fn is_over(
        &self,
        summary: &Summary,
        (step, now): (&Step, &StepSigns),
        (held, now_us): (Duration, u64),
    ) -> bool {
        let is_first = self.steps.len() == 1;
        let since = |at_us: u64| Duration::from_micros(now_us.saturating_sub(at_us));
        let Some(alone) = Alone::of(summary) else {
            // Not even the first stream has its first byte.
            return held >= FIRST_BYTE_WITHIN;
        };
        if !is_first && (!self.named.is_empty() || self.target.thorough) {
            return held >= self.hold.max(4 * Duration::from_micros(alone.ttft_us));
        }
        let least = self.least(alone, is_first);
        let most = self.hold.max(least);
        if held < least {
            return false;
        }
        if is_first && !has_a_pace(step) && held < Duration::from_micros(alone.ttft_us) + MOST_GAPS
        {
            return false;
        }
        let is_confirmed = self.hurts_since_us.is_none_or(|at| since(at) >= CONFIRMED);
        // A pool that grows thread by thread serves more and more.
        let stands = now.limit.is_none() || since(self.served.1) >= STANDS;
        held >= most || (is_confirmed && stands)
    }

    /// How long a step lasts at least, so that waiting streams can be told from those that have just begun.
    fn least(&self, alone: Alone, is_first: bool) -> Duration {
        let late = Duration::from_micros(alone.late_us()) + Duration::from_millis(100);
        let answers = match (alone.is_short, alone.took_us) {
            (true, Some(took)) if is_first => Duration::from_micros(took),
            (true, Some(took)) => Duration::from_micros(took * 5 / 2),
            _ => Duration::ZERO,
        };
        let pause = Duration::from_micros(alone.longest_gap_us * 3 / 2).min(MOST_GAPS);
        LEAST_STEP
            .max(if is_first { Duration::ZERO } else { pause })
            .max(if is_first { Duration::ZERO } else { late })
            .max(answers)
    }

    /// A step is over: the next one, or the end of the climb.
    fn after_step(&mut self, summary: &Summary, signs: &[StepSigns], now_us: u64) -> Move {
        if Alone::of(summary).is_none() {
            return Move::Tail;
        }
        let next = match self.named.is_empty() {
            true => self.next_step(summary, signs, now_us),
            false => self.named.iter().copied().find(|&one| one > self.last()),
        };
        let Some(next) = next else {
            return Move::Tail;
        };
        // A step that would not be over in time is not begun.
        let left = self.time_left(now_us);
        let after = self.target.time_after_steps(self.timeout) + self.ramp_of(next);
        if left < after + self.ramp_of(next - self.last()) + LEAST_STEP {
            self.not_begun = Some(next);
            return Move::Tail;
        }
        Move::Rise(next)
    }

    fn last(&self) -> u32 {
        self.steps.last().copied().unwrap_or(0)
    }

    fn time_left(&self, now_us: u64) -> Duration {
        let spent = Duration::from_micros(now_us.saturating_sub(self.first_us));
        self.target.max_time.saturating_sub(spent)
    }

    fn ramp_of(&self, streams: u32) -> Duration {
        Duration::from_secs(1) * streams / self.target.max_rate.max(1)
    }

    /// The next step of a climb whose steps nobody has named; `None` if nothing more is to be learnt.
    fn next_step(&self, summary: &Summary, signs: &[StepSigns], now_us: u64) -> Option<u32> {
        let most = match self.target.find_capacity {
            true => self.target.max_streams,
            false => DEFAULT_MOST.min(self.target.max_streams),
        };
        let last = self.last();
        let budget = if self.target.find_capacity {
            CAPACITY_BUDGET
        } else {
            BUDGET
        };
        let spent = Duration::from_micros(now_us.saturating_sub(self.first_us));
        if last >= most {
            return None;
        }
        let hurting = signs.iter().filter(|step| step.hurts()).count();
        let diagnosis = &summary.diagnosis;
        let next = if hurting == 0 {
            last.saturating_mul(self.factor(summary, most, budget))
        } else if self.is_certain(signs, diagnosis.family, summary) {
            return None;
        } else {
            // What has just shown itself is seen best a little above it.
            (last + last.div_ceil(2)).max(last + 1)
        };
        let is_late = spent >= budget && hurting > 0;
        (!is_late).then_some(next.clamp(last + 1, most))
    }

    /// Whether more streams would add nothing.
    fn is_certain(&self, signs: &[StepSigns], family: Family, summary: &Summary) -> bool {
        let capacity = summary
            .attach
            .as_ref()
            .and_then(|attach| attach.capacity.as_ref());
        let hurting = signs.iter().filter(|step| step.hurts()).count();
        match family {
            Family::Undecided | Family::Healthy => false,
            Family::LimitSharedWithHealth
            | Family::LimitBesideHealth
            | Family::HeldForNobody
            | Family::ShedsLoad => {
                let is_slower = signs
                    .iter()
                    .any(|step| matches!(step.pace, Pace::Slower(_)));
                let is_seen = capacity.is_some_and(|one| one.seen_in >= AGREE);
                is_seen || hurting > 4 || is_slower
            }
            _ => true,
        }
    }

    /// By how much the number of streams grows from step to step: it doubles, unless one answer takes so long
    /// that there is no time for as many steps.
    fn factor(&self, summary: &Summary, most: u32, budget: Duration) -> u32 {
        let Some(alone) = Alone::of(summary) else {
            return 2;
        };
        let each = self.least(alone, false).as_secs_f64();
        let steps = (budget.as_secs_f64() / each).floor().max(1.0);
        let factor = f64::from(most).powf(1.0 / steps).ceil();
        (factor as u32).clamp(2, MOST_FACTOR)
    }

    fn after_hang_up(&mut self, summary: &Summary, now_us: u64, spent: Duration) -> Move {
        let is_back = summary.phases.recovery.time_to_recover_us.is_some();
        let is_settled =
            spent >= LEAST_LOOK.min(self.target.settle) && is_back && self.is_released(summary);
        if !is_settled && spent < self.target.settle {
            return Move::Stay;
        }
        let count = self.worth_asking_afresh(summary);
        let Some(count) = count.filter(|_| self.target.hang_up) else {
            return Move::Done;
        };
        if self.ramp_of(count) + self.most_afresh(summary) > self.time_left(now_us) {
            self.is_not_afresh = true;
            return Move::Done;
        }
        Move::Afresh(count)
    }

    /// As many as were served at once. Where everything waits for a loop, for a core, or for what makes the
    /// answers, there is nothing that could be held.
    fn worth_asking_afresh(&self, summary: &Summary) -> Option<u32> {
        let is_of_use = !matches!(
            summary.diagnosis.family,
            Family::LoopBlocked | Family::CpuSaturated | Family::AllSlow | Family::Restarts
        );
        let capacity = summary.attach.as_ref()?.capacity.as_ref();
        let served = capacity.map(|one| one.streams).or_else(|| {
            let served = summary.steps.iter().map(|step| step.served_at_once);
            served.max()
        })?;
        let count = u32::try_from(served).unwrap_or(u32::MAX).min(self.last());
        (is_of_use && count > 0).then_some(count)
    }

    /// How long streams that are asked for afresh may take until they are served. Below the bound of a late
    /// first byte, a stream that waits looks like one that has just begun.
    fn most_afresh(&self, summary: &Summary) -> Duration {
        let late = Alone::of(summary).map_or(0, Alone::late_us);
        self.target
            .settle
            .max(Duration::from_micros(late) + LEAST_LOOK)
    }

    fn in_afresh(&self, summary: &Summary, now_us: u64) -> Move {
        let Some(step) = summary
            .attach
            .as_ref()
            .and_then(|attach| attach.after_hang_up.as_ref())
        else {
            return Move::Stay;
        };
        let begun_us = step.load.hold_started_us;
        if begun_us == 0 || now_us < begun_us {
            return Move::Stay;
        }
        let held = Duration::from_micros(now_us - begun_us);
        let streams = &step.load.streams;
        let served = match Alone::of(summary) {
            Some(alone) if alone.is_short => streams.complete,
            _ => streams.receiving_peak,
        };
        let is_served = served >= step.streams.unwrap_or(0);
        let is_over = (held >= LEAST_AFRESH && is_served) || held >= self.most_afresh(summary);
        if is_over { Move::HangUp } else { Move::Stay }
    }

    /// Whether the upstream has let go of what hung up, as far as it tells.
    fn is_released(&self, summary: &Summary) -> bool {
        let Some(attach) = &summary.attach else {
            return true;
        };
        let step = attach.after_hang_up.as_ref().or(summary.steps.last());
        let open = step.and_then(|step| step.upstream_open_after);
        open.is_none_or(|open| open <= attach.upstream_open_before.unwrap_or(0))
    }
}

/// Whether one stream alone has shown how it flows, or that it ends without flowing.
fn has_a_pace(step: &Step) -> bool {
    let streams = &step.load.streams;
    let ends_at_once = streams.complete > 0 && streams.gap_us.count == 0;
    streams.gap_us.count >= 5 || ends_at_once || streams.complete > 2
}

#[cfg(test)]
mod tests;
