use std::time::Duration;

use super::cell::{Experiment, Stop};
use super::times::{LEAD, LEAST_RECOVERY, SPARE};
use crate::load::RunningLoad;
use verdict::record::{Event, Part, Segment};
use verdict::scenario::{self, Step};
use verdict::summary;
use verdict::units::us;

/// An action without an answer in this time has failed.
const ACTION_WITHIN: Duration = Duration::from_secs(10);

impl Experiment<'_> {
    /// The baseline, and the steps one after the other in the same processes.
    pub(super) async fn steps(&mut self) -> Result<(), Stop> {
        let cell = self.task.cell;
        self.pass("baseline", cell.phases.baseline).await?;
        let mut streams_so_far = 0;
        for (n, step) in cell.steps.iter().enumerate() {
            let action = step.action.as_ref();
            if let Some(action) = action.filter(|_| self.task.variant.actions) {
                self.act(n, action).await?;
            }
            let streams = self.step(n, step, streams_so_far).await?;
            streams_so_far += u64::from(streams);
        }
        Ok(())
    }

    /// Ramp, hold and tail of one step, and the pause after it. Returns how many streams it had.
    async fn step(&mut self, n: usize, step: &Step, first_stream: u64) -> Result<u32, Stop> {
        let cell = self.task.cell;
        let load = cell.load_of(step);
        let part = |segment| Part::of(Some(n), segment);
        // Nothing of the last step is under way, so what comes from now on belongs to this step.
        self.collector.results().tell(Event::StepBegins);
        let ramp_start_us = self.clock.begin(part(Segment::Ramp));
        let start = Duration::from_micros(ramp_start_us) + LEAD;
        let hold_start = start + load.ramp();
        let hold_end = hold_start + cell.phases.hold;
        self.clock.plan(part(Segment::Hold), us(hold_start));
        self.clock.plan(part(Segment::Tail), us(hold_end));
        let started = RunningLoad::start(&load, &self.start(start, first_stream));
        self.load = Some(started.map_err(|error| Stop::Failed(format!("{error:#}")))?);
        let phase = |what: &str| format!("step {}: {what}", step.name);
        self.pass(&phase("ramp"), hold_start).await?;
        self.pass(&phase("hold"), hold_end).await?;
        let tail_end = hold_end + cell.probe.timeout + SPARE;
        self.pass_until(&phase("tail"), tail_end, |this| {
            let recorded = &this.collector.recorded();
            this.so_far(recorded).is_load_decided(Some(n))
        })
        .await?;
        let load_end_us = self.end_load_at(part(Segment::Recovery)).await;
        let load_end = Duration::from_micros(load_end_us);
        let limit = cell.phases.recovery;
        let least = load_end + LEAST_RECOVERY.min(limit);
        self.recover(&phase("recovery"), load_end_us, (least, load_end + limit))
            .await?;
        self.sources.ask(self.collector.results()).await;
        Ok(load.streams.map_or(0, |streams| streams.count))
    }

    /// Asks the server for what a step needs.
    async fn act(&mut self, n: usize, action: &scenario::Action) -> Result<(), Stop> {
        let url = format!("{}{}", self.stage.listening, action.path);
        let failed = |why: String| Stop::Failed(format!("{action} failed: {why}"));
        let method = action.method.name().parse();
        let request = self
            .sources
            .client
            .request(method.unwrap_or_default(), url)
            .timeout(ACTION_WITHIN);
        let answer = request.send().await;
        let answer = answer.map_err(|error| failed(error.without_url().to_string()))?;
        let status = answer.status();
        if !status.is_success() {
            let text = answer.text().await.unwrap_or_default();
            return Err(failed(format!("{status} {}", text.trim())));
        }
        let done = summary::Action {
            request: action.to_string(),
            status: status.as_u16(),
            at_us: self.clock.now_us(),
        };
        self.course.actions.insert(n, done);
        Ok(())
    }
}
