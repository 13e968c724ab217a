use std::time::{Duration, Instant};

use super::RunDirectory;
use super::cell::{Experiment, LEAD, Stop};
use super::target;
use crate::load::{Pace, StreamLoad, StreamPlan};
use crate::stage::StageError;
use verdict::judge::capacity;
use verdict::record::{Event, Part, Segment};
use verdict::scenario::Target;
use verdict::summary::{State, Summary};
use verdict::units::us;

/// How long the first stream of all may take until its first byte.
const FIRST_BYTE_WITHIN: Duration = Duration::from_secs(30);

/// Steps with more streams than are served, after which the capacity is sure enough.
const SURE_AFTER: u64 = 3;

/// Least time of a look at health after a hang-up.
const LEAST_LOOK: Duration = Duration::from_secs(1);

/// A hold lasts at least so many times what one stream takes to its first byte.
const HOLD_PER_TTFT: u32 = 4;

impl Experiment<'_> {
    /// Drives a target: the baseline; streams that become more from step to step, none of which is
    /// hung up on before the last step is over, because what hangs up may still hold its thread; the
    /// hang-up of all; and whether as many are served afresh.
    pub(super) async fn climb(
        &mut self,
        target: &Target,
        directory: &mut RunDirectory,
        name: &str,
    ) -> Result<(), Stop> {
        let task = self.frame.task;
        let plan = target::plan(target, &task.reach).map_err(Stop::Environment)?;
        self.pass(
            "baseline",
            task.cell.phases.baseline,
            directory,
            name,
            |_| false,
        )
        .await?;
        self.look().await;
        let before = self.collector.recorded().step().upstream_open;
        self.frame.upstream_open_before.set(before);
        let over_at = Instant::now() + target.max_time;
        let after_steps = target.time_after_steps(task.cell.probe.timeout);
        let time_left = || over_at.saturating_duration_since(Instant::now());
        let mut hold = task.cell.phases.hold;
        let (mut last, mut open) = (0, 0);
        for (n, step) in task.cell.steps.iter().enumerate() {
            let count = step.streams.unwrap_or(open);
            // A step that would not be over in time is not begun, but for that of one stream alone.
            let again = ramp_of(count, target.max_rate);
            let left = time_left().saturating_sub(after_steps + again);
            if n > 0 && left < ramp_of(count - open, target.max_rate) + hold {
                self.frame.not_begun.set(Some(count));
                break;
            }
            self.rise(
                (n, open..count),
                &plan,
                directory,
                (name, hold.min(left), self.first_byte_within(target)),
            )
            .await?;
            (last, open) = (n, count);
            if n == 0 {
                hold = hold.max(self.first_stream(target)? * HOLD_PER_TTFT);
            }
            let is_found = target.find_capacity
                && capacity::of(&self.summarise(State::Running, None))
                    .is_some_and(|capacity| capacity.seen_in >= SURE_AFTER);
            if is_found {
                break;
            }
        }
        let waited = plan.slots.as_ref().map_or(0, Pace::held_up);
        // Slots that begin together wait for one another; what waits beyond that was asked for less
        // often than it could have been.
        self.frame
            .held_up
            .set(waited.saturating_sub(u64::from(open)));
        self.tail(last, target, directory, name).await?;
        let summary = self.summarise(State::Running, None);
        let served = match (capacity::of(&summary), summary.steps.last()) {
            (Some(capacity), _) => capacity.streams,
            (None, Some(step)) if !capacity::is_told_by_ends(&summary, step) => step.served_at_once,
            (None, _) => u64::from(open),
        };
        self.hang_up((last, "hang-up"), target, directory, name)
            .await?;
        if target.hang_up && served > 0 {
            let count = u32::try_from(served).unwrap_or(open).min(open);
            let most = self.time_for_afresh(target, &summary);
            if ramp_of(count, target.max_rate) + LEAD + most > time_left() {
                self.frame.not_afresh.set(true);
                return Ok(());
            }
            self.frame
                .after_hang_up
                .set(Some((last + 1, u64::from(count))));
            self.afresh((last + 1, count, most), &plan, (target, directory, name))
                .await?;
        }
        Ok(())
    }

    fn first_byte_within(&self, target: &Target) -> Duration {
        let after = target.time_after_steps(self.frame.task.cell.probe.timeout);
        FIRST_BYTE_WITHIN.min(target.max_time.saturating_sub(after))
    }

    /// How long streams that are asked for afresh may take until they are served: who waits for less
    /// than what is long is not told from who has just begun.
    fn time_for_afresh(&self, target: &Target, summary: &Summary) -> Duration {
        let long = Duration::from_micros(capacity::long_us(summary).unwrap_or(0));
        target.settle.max(long + LEAST_LOOK)
    }

    /// One step: further slots, and a hold with all of them; with the first one, as long as its first
    /// byte may take.
    async fn rise(
        &mut self,
        (n, slots): (usize, std::ops::Range<u32>),
        plan: &StreamPlan,
        directory: &mut RunDirectory,
        (name, hold, first_byte_within): (&str, Duration, Duration),
    ) -> Result<(), Stop> {
        let label = slots.end;
        let ramp = self.join(n, slots, plan)?;
        self.pass(
            &format!("{label} streams: ramp"),
            ramp,
            directory,
            name,
            |_| false,
        )
        .await?;
        let end = ramp + hold;
        let most = if n == 0 {
            end.max(ramp + first_byte_within)
        } else {
            end
        };
        self.pass(&format!("{label} streams"), most, directory, name, |this| {
            let now = Duration::from_micros(this.frame.segments.now_us());
            let recorded = this.collector.recorded();
            now >= end && (recorded.streams.has_served() || recorded.streams.has_ended())
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
        self.send(Event::StepBegins);
        let segments = &self.frame.segments;
        let start = Duration::from_micros(segments.begin(part(Segment::Ramp))) + LEAD / 2;
        let rate = self
            .frame
            .task
            .cell
            .target
            .as_ref()
            .map_or(1, |target| target.max_rate);
        let ramp = start + ramp_of(slots.end - slots.start, rate);
        segments.plan(part(Segment::Hold), us(ramp));
        let plan = StreamPlan {
            numbers: u64::from(slots.start)..u64::from(slots.end),
            ..plan.clone()
        };
        let load = StreamLoad::start(
            plan,
            segments.origin() + start,
            segments,
            self.collector.sender(),
        );
        self.slots
            .push(load.map_err(|error| Stop::Failed(format!("{error:#}")))?);
        Ok(ramp)
    }

    /// What the first stream of all came to; errors are not measured, they are said.
    fn first_stream(&self, target: &Target) -> Result<Duration, Stop> {
        let recorded = self.collector.recorded();
        let figures = recorded.streams.figures(None, 0);
        if let Some(ttft) = figures
            .ttft_us
            .min
            .filter(|_| recorded.streams.has_served())
        {
            return Ok(Duration::from_micros(ttft));
        }
        let url = crate::reach::redacted_url(&target.stream);
        let problem = match figures.statuses.keys().next().map(String::as_str) {
            Some(status @ ("401" | "403")) => format!(
                "{url} is answered with {status}: give a token that is allowed, by --bearer-env or --header"
            ),
            Some(status) if status.starts_with('2') => {
                format!(
                    "{url} is answered with {status} and nothing else: there is no body to measure"
                )
            }
            Some(status) => {
                format!("{url} is answered with {status}: nothing of it can be measured")
            }
            None if figures.refused > 0 => format!("cannot reach {url}, or it ends the connection"),
            None => format!(
                "{url} has not sent a byte in {} s, with one client: it hangs already",
                self.first_byte_within(target).as_secs()
            ),
        };
        Err(Stop::Environment(StageError::Target(problem)))
    }

    /// The load goes on until every check that was due in a hold has its outcome.
    async fn tail(
        &mut self,
        last: usize,
        target: &Target,
        directory: &mut RunDirectory,
        name: &str,
    ) -> Result<(), Stop> {
        let begun = self
            .frame
            .segments
            .begin(Part::of(Some(last), Segment::Tail));
        let tail = target.tail(self.frame.task.cell.probe.timeout);
        let end = Duration::from_micros(begun) + tail;
        self.pass("tail", end, directory, name, |this| {
            let now = this.frame.segments.now_us();
            let recorded = this.collector.recorded();
            (0..=last).all(|step| this.frame.is_hold_decided(&recorded, Some(step), now))
        })
        .await?;
        self.look().await;
        Ok(())
    }

    /// Hangs up on all streams, and waits until health is back and the upstream has let go.
    async fn hang_up(
        &mut self,
        (n, phase): (usize, &str),
        target: &Target,
        directory: &mut RunDirectory,
        name: &str,
    ) -> Result<(), Stop> {
        let load_end_us = self
            .frame
            .segments
            .begin(Part::of(Some(n), Segment::Recovery));
        self.end_load().await;
        let load_end = Duration::from_micros(load_end_us);
        let least = load_end + LEAST_LOOK.min(target.settle);
        let before = self.frame.upstream_open_before.get();
        self.pass(phase, load_end + target.settle, directory, name, |this| {
            let now = Duration::from_micros(this.frame.segments.now_us());
            let recorded = this.collector.recorded();
            let open = recorded.step().upstream_open;
            now >= least
                && open.is_none_or(|open| open <= before.unwrap_or(0))
                && this.frame.has_recovered(&recorded, load_end_us)
        })
        .await?;
        self.look().await;
        Ok(())
    }

    /// As many streams as were served at once, afresh: until they are served, or the time for it is
    /// over.
    async fn afresh(
        &mut self,
        (n, count, most): (usize, u32, Duration),
        plan: &StreamPlan,
        (target, directory, name): (&Target, &mut RunDirectory, &str),
    ) -> Result<(), Stop> {
        let ramp = self.join(n, 0..count, plan)?;
        let least = ramp + Duration::from_millis(500);
        let summary = self.summarise(State::Running, None);
        let is_told_by_ends = summary
            .steps
            .last()
            .is_some_and(|step| capacity::is_told_by_ends(&summary, step));
        let count = u64::from(count);
        self.pass("afresh", ramp + most, directory, name, |this| {
            let now = Duration::from_micros(this.frame.segments.now_us());
            let streams = &this.collector.recorded().streams;
            let served = if is_told_by_ends {
                streams.completed()
            } else {
                streams.receiving_peak()
            };
            now >= least && served >= count
        })
        .await?;
        self.hang_up((n, "recovery"), target, directory, name).await
    }

    async fn look(&self) {
        self.sources.ask(&self.collector.sender()).await;
        // What was sent is recorded before anything that is sent later; wait for it.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How long it takes to begin so many streams.
fn ramp_of(streams: u32, max_rate: u32) -> Duration {
    Duration::from_secs(1) * streams / max_rate.max(1)
}
