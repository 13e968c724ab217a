use std::time::{Duration, Instant};

use super::cell::{Experiment, Stop};
use super::preflight::first_byte_within;
use super::target;
use super::times::LEAD;
use crate::load::{Pace, Slots, StreamPlan};
use verdict::judge::capacity;
use verdict::record::{Event, Part, Segment};
use verdict::scenario::Target;
use verdict::summary::Summary;
use verdict::units::us;

/// The capacity is sure enough after this many steps with more streams than are served.
const SURE_AFTER: u64 = 3;

/// Least time of a look at health after a hang-up.
const LEAST_LOOK: Duration = Duration::from_secs(1);

/// A hold lasts at least this many times as long as one stream takes to its first byte.
const HOLD_PER_TTFT: u32 = 4;

impl Experiment<'_> {
    /// Drives a target. First comes the baseline, then steps with more and more streams. No stream hangs
    /// up before the last step is over, because it might still hold its thread. Then all hang up, and as
    /// many streams as were served are asked for afresh.
    pub(super) async fn climb(&mut self, target: &Target) -> Result<(), Stop> {
        let task = self.task;
        let plan = target::plan(target, &task.reach).map_err(Stop::Environment)?;
        self.pass("baseline", task.cell.phases.baseline).await?;
        self.look().await;
        let before = self.collector.recorded().upstream_open();
        self.course.upstream_open_before = before;
        let over_at = Instant::now() + target.max_time;
        let after_steps = target.time_after_steps(task.cell.probe.timeout);
        let time_left = || over_at.saturating_duration_since(Instant::now());
        let mut hold = task.cell.phases.hold;
        let (mut last, mut open) = (0, 0);
        for (n, step) in task.cell.steps.iter().enumerate() {
            let count = step.streams.unwrap_or(open);
            // A step that would not be over in time is not begun, except the step of one stream alone.
            let again = ramp_of(count, target.max_rate);
            let left = time_left().saturating_sub(after_steps + again);
            if n > 0 && left < ramp_of(count - open, target.max_rate) + hold {
                self.course.not_begun = Some(count);
                break;
            }
            self.rise(
                (n, open..count),
                &plan,
                (
                    hold.min(left),
                    first_byte_within(target, task.cell.probe.timeout),
                ),
            )
            .await?;
            (last, open) = (n, count);
            if n == 0 {
                hold = hold.max(self.ttft_alone() * HOLD_PER_TTFT);
            }
            let is_found = target.find_capacity
                && capacity::of(&self.summarise())
                    .is_some_and(|capacity| capacity.seen_in >= SURE_AFTER);
            if is_found {
                break;
            }
        }
        let waited = plan.slots.as_ref().map_or(0, Pace::held_up);
        // Slots that begin together wait for one another. Any further waits mean that the lab asked
        // less often than it could have.
        self.course.held_up = waited.saturating_sub(u64::from(open));
        self.tail(last, target).await?;
        let summary = self.summarise();
        let served = match (capacity::of(&summary), summary.steps.last()) {
            (Some(capacity), _) => capacity.streams,
            (None, Some(step)) if !capacity::is_told_by_ends(&summary, step) => step.served_at_once,
            (None, _) => u64::from(open),
        };
        self.hang_up((last, "hang-up"), target).await?;
        if target.hang_up && served > 0 {
            let count = u32::try_from(served).unwrap_or(open).min(open);
            let most = self.time_for_afresh(target, &summary);
            if ramp_of(count, target.max_rate) + LEAD + most > time_left() {
                self.course.is_not_afresh = true;
                return Ok(());
            }
            self.course.after_hang_up = Some((last + 1, u64::from(count)));
            self.afresh((last + 1, count, most), &plan, target).await?;
        }
        Ok(())
    }

    /// How long streams that are asked for afresh may take until they are served. Below the bound of a
    /// long wait, a stream that waits looks like one that has just begun.
    fn time_for_afresh(&self, target: &Target, summary: &Summary) -> Duration {
        let long = Duration::from_micros(capacity::long_us(summary).unwrap_or(0));
        target.settle.max(long + LEAST_LOOK)
    }

    /// One step: further slots, and a hold with all slots. With the first slot, the hold lasts as long
    /// as its first byte may take.
    async fn rise(
        &mut self,
        (n, slots): (usize, std::ops::Range<u32>),
        plan: &StreamPlan,
        (hold, first_byte_within): (Duration, Duration),
    ) -> Result<(), Stop> {
        let label = slots.end;
        let ramp = self.join(n, slots, plan)?;
        self.pass(&format!("{label} streams: ramp"), ramp).await?;
        let end = ramp + hold;
        let most = if n == 0 {
            end.max(ramp + first_byte_within)
        } else {
            end
        };
        self.pass_until(&format!("{label} streams"), most, |this| {
            let now = Duration::from_micros(this.clock.now_us());
            let recorded = this.collector.recorded();
            now >= end && (recorded.load.streams.has_served() || recorded.load.streams.has_ended())
        })
        .await
    }

    /// Begins a step with further slots; returns when its ramp is over, on the cell's clock.
    fn join(
        &mut self,
        n: usize,
        slots: std::ops::Range<u32>,
        plan: &StreamPlan,
    ) -> Result<Duration, Stop> {
        let part = |segment| Part::of(Some(n), segment);
        self.collector.results().tell(Event::StepBegins);
        let clock = &self.clock;
        let start = Duration::from_micros(clock.begin(part(Segment::Ramp))) + LEAD / 2;
        let target = self.task.cell.target.as_ref();
        let rate = target.map_or(1, |target| target.max_rate);
        let ramp = start + ramp_of(slots.end - slots.start, rate);
        clock.plan(part(Segment::Hold), us(ramp));
        let plan = StreamPlan {
            numbers: u64::from(slots.start)..u64::from(slots.end),
            ..plan.clone()
        };
        let first = clock.origin() + start;
        let started = Slots::start(plan, first, clock, self.collector.results());
        self.slots
            .push(started.map_err(|error| Stop::Failed(format!("{error:#}")))?);
        Ok(ramp)
    }

    /// From the request to the first byte with one stream. A service that is cold is slower in the look
    /// before, so that counts only if the stream here got nothing.
    fn ttft_alone(&self) -> Duration {
        let recorded = self.collector.recorded();
        let streams = &recorded.load.streams;
        let alone = streams.figures(None, 0).ttft_us.min;
        let attach = self.frame.attach.as_ref();
        let before = attach.and_then(|attach| Some(attach.first_look.as_ref()?.ttft_us));
        let ttft_us = alone.filter(|_| streams.has_served()).or(before);
        Duration::from_micros(ttft_us.unwrap_or(0))
    }

    /// The load goes on until every check that was due in a hold has its outcome.
    async fn tail(&mut self, last: usize, target: &Target) -> Result<(), Stop> {
        let begun = self.clock.begin(Part::of(Some(last), Segment::Tail));
        let tail = target.tail(self.task.cell.probe.timeout);
        let end = Duration::from_micros(begun) + tail;
        self.pass_until("tail", end, |this| {
            let recorded = &this.collector.recorded();
            let so_far = this.so_far(recorded);
            (0..=last).all(|step| so_far.is_hold_decided(Some(step)))
        })
        .await?;
        self.look().await;
        Ok(())
    }

    /// Hangs up on all streams, and waits until health is back and the upstream has let go.
    async fn hang_up(&mut self, (n, phase): (usize, &str), target: &Target) -> Result<(), Stop> {
        let load_end_us = self.clock.begin(Part::of(Some(n), Segment::Recovery));
        self.end_load().await;
        let load_end = Duration::from_micros(load_end_us);
        let least = load_end + LEAST_LOOK.min(target.settle);
        let before = self.course.upstream_open_before;
        self.pass_until(phase, load_end + target.settle, |this| {
            let now = Duration::from_micros(this.clock.now_us());
            let recorded = &this.collector.recorded();
            let open = recorded.upstream_open();
            now >= least
                && open.is_none_or(|open| open <= before.unwrap_or(0))
                && this.so_far(recorded).has_recovered(load_end_us)
        })
        .await?;
        self.look().await;
        Ok(())
    }

    /// Asks afresh for as many streams as were served at once. It waits until they are served, or until
    /// the time for that is over.
    async fn afresh(
        &mut self,
        (n, count, most): (usize, u32, Duration),
        plan: &StreamPlan,
        target: &Target,
    ) -> Result<(), Stop> {
        let ramp = self.join(n, 0..count, plan)?;
        let least = ramp + Duration::from_millis(500);
        let summary = self.summarise();
        let is_told_by_ends = summary
            .steps
            .last()
            .is_some_and(|step| capacity::is_told_by_ends(&summary, step));
        let count = u64::from(count);
        self.pass_until("afresh", ramp + most, |this| {
            let now = Duration::from_micros(this.clock.now_us());
            let streams = &this.collector.recorded().load.streams;
            let served = if is_told_by_ends {
                streams.completed()
            } else {
                streams.receptions().peak()
            };
            now >= least && served >= count
        })
        .await?;
        self.hang_up((n, "recovery"), target).await
    }

    async fn look(&self) {
        self.sources.ask(self.collector.results()).await;
        // Events are recorded in the order in which they were sent, so wait for this one.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How long it takes to begin so many streams.
fn ramp_of(streams: u32, max_rate: u32) -> Duration {
    Duration::from_secs(1) * streams / max_rate.max(1)
}
