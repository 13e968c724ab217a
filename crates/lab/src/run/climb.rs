use std::time::{Duration, Instant};

use super::cell::{Experiment, Stop};
use super::target;
use super::times::LEAD;
use crate::load::{Pace, Slots, StreamPlan};
use verdict::climb::{Climb, Move};
use verdict::record::{Event, Part, Segment};
use verdict::scenario::Target;
use verdict::units::us;

/// How often the climb is asked what comes next. A look at all that was recorded takes a millisecond or two.
const LOOK: Duration = Duration::from_millis(200);

impl Experiment<'_> {
    /// Drives a target as its climb says. Each step adds slots, and none hangs up before the last step is
    /// over.
    pub(super) async fn climb(&mut self, target: &Target) -> Result<(), Stop> {
        let task = self.task;
        let plan = target::plan(target, &task.reach).map_err(Stop::Environment)?;
        let mut climb = Climb::new(target, task.cell);
        let mut phase = "baseline".to_owned();
        let mut next_save = Instant::now();
        self.enter(&phase);
        loop {
            let summary = self.summarise();
            let next = climb.next(
                &summary,
                self.clock.now_us(),
                self.is_decided(climb.steps().len()),
            );
            self.course.steps = climb.steps().to_vec();
            self.course.not_begun = climb.not_begun();
            self.course.is_not_afresh = climb.is_not_afresh();
            let last = climb.steps().len().saturating_sub(1);
            let label = match next {
                Move::Stay => None,
                Move::Rise(streams) => {
                    if last == 0 {
                        self.look().await;
                        let open = self.collector.recorded().upstream_open();
                        self.course.upstream_open_before = open;
                    }
                    let open = climb.steps().iter().rev().nth(1).copied().unwrap_or(0);
                    self.join(last, open..streams, &plan)?;
                    Some(format!("{streams} streams"))
                }
                Move::Tail => {
                    self.clock.begin(Part::of(Some(last), Segment::Tail));
                    Some("tail".to_owned())
                }
                Move::HangUp => {
                    self.look().await;
                    let step = self.course.after_hang_up.map_or(last, |(afresh, _)| afresh);
                    self.clock.begin(Part::of(Some(step), Segment::Recovery));
                    self.end_load().await;
                    Some("hang-up".to_owned())
                }
                Move::Afresh(streams) => {
                    self.course.after_hang_up = Some((last + 1, u64::from(streams)));
                    self.join(last + 1, 0..streams, &plan)?;
                    Some("afresh".to_owned())
                }
                Move::Done => break,
            };
            if let Some(label) = label {
                phase = label;
                self.enter(&phase);
            }
            if Instant::now() >= next_save {
                next_save = Instant::now() + Duration::from_secs(1);
                self.save(&summary)?;
            }
            tokio::time::sleep(LOOK).await;
            self.attend(&phase).await?;
        }
        let waited = plan.slots.as_ref().map_or(0, Pace::held_up);
        // Slots that begin together wait for one another. Any further waits mean that the lab asked less
        // often than it could have.
        let open = climb.steps().last().copied().unwrap_or(0);
        self.course.held_up = waited.saturating_sub(2 * u64::from(open));
        self.look().await;
        Ok(())
    }

    /// Whether every check that was due in a hold of these steps has its outcome.
    fn is_decided(&self, steps: usize) -> bool {
        let recorded = &self.collector.recorded();
        let so_far = self.so_far(recorded);
        (0..steps).all(|step| so_far.is_hold_decided(Some(step)))
    }

    /// Begins a step with further slots.
    fn join(
        &mut self,
        n: usize,
        slots: std::ops::Range<u32>,
        plan: &StreamPlan,
    ) -> Result<(), Stop> {
        let part = |segment| Part::of(Some(n), segment);
        self.collector.results().tell(Event::StepBegins);
        let clock = &self.clock;
        let start = Duration::from_micros(clock.begin(part(Segment::Ramp))) + LEAD / 2;
        let target = self.task.cell.target.as_ref();
        let rate = target.map_or(1, |target| target.max_rate);
        let ramp = start + Duration::from_secs(1) * (slots.end - slots.start) / rate.max(1);
        clock.plan(part(Segment::Hold), us(ramp));
        let plan = StreamPlan {
            numbers: u64::from(slots.start)..u64::from(slots.end),
            ..plan.clone()
        };
        let started = Slots::start(
            plan,
            clock.origin() + start,
            clock,
            self.collector.results(),
        );
        self.slots
            .push(started.map_err(|error| Stop::Failed(format!("{error:#}")))?);
        Ok(())
    }

    async fn look(&self) {
        self.sources.ask(self.collector.results()).await;
        // Events are recorded in the order in which they were sent, so wait for this one.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
