use std::time::Duration;

use super::RunDirectory;
use super::cell::{Experiment, LEAD, LEAST_RECOVERY, Stop};
use super::summarise::Frame;
use crate::load::{Load, Target};
use verdict::record::{Event, Part, Segment};
use verdict::scenario;
use verdict::summary;
use verdict::units::us;

/// An action that is not answered in this time has failed.
const ACTION_WITHIN: Duration = Duration::from_secs(10);

impl Experiment<'_> {
    /// The baseline, and the steps one after the other in the same processes.
    pub(super) async fn steps(
        &mut self,
        directory: &mut RunDirectory,
        name: &str,
    ) -> Result<(), Stop> {
        let cell = self.frame.task.cell;
        self.pass("baseline", cell.phases.baseline, directory, name, |_| false)
            .await?;
        let mut streams_so_far = 0;
        for (n, step) in cell.steps.iter().enumerate() {
            let action = step.action.as_ref();
            if let Some(action) = action.filter(|_| self.frame.task.variant.actions) {
                self.act(n, action).await?;
            }
            let load = cell.load_of(step);
            self.step((n, streams_so_far), &load, directory, name)
                .await?;
            streams_so_far += load.streams.map_or(0, |streams| u64::from(streams.count));
        }
        Ok(())
    }

    /// Ramp, hold and tail of one step, and the pause after it.
    async fn step(
        &mut self,
        (n, first_stream): (usize, u64),
        load: &scenario::Load,
        directory: &mut RunDirectory,
        name: &str,
    ) -> Result<(), Stop> {
        let cell = self.frame.task.cell;
        let step = Some(n);
        let part = |segment| Part::of(step, segment);
        // Nothing of the step before is under way: what comes from now on is of this one.
        self.send(Event::StepBegins);
        let ramp_start_us = self.frame.segments.begin(part(Segment::Ramp));
        let start = Duration::from_micros(ramp_start_us) + LEAD;
        let hold_start = start + load.ramp();
        let hold_end = hold_start + cell.phases.hold;
        self.frame
            .segments
            .plan(part(Segment::Hold), us(hold_start));
        self.frame.segments.plan(part(Segment::Tail), us(hold_end));
        let target = Target {
            server: self.stage.listening.clone(),
            upstreams: self.sources.upstreams(),
        };
        let started = Load::start(
            load,
            &target,
            self.frame.task.scenario.seed,
            (start, first_stream),
            &self.frame.segments,
            &self.collector.sender(),
        );
        self.load = Some(started.map_err(|error| Stop::Failed(format!("{error:#}")))?);
        let label = self
            .frame
            .task
            .cell
            .steps
            .get(n)
            .map_or("", |step| &step.name);
        let phase = |what: &str| format!("step {label}: {what}");
        self.pass(&phase("ramp"), hold_start, directory, name, |_| false)
            .await?;
        self.pass(&phase("hold"), hold_end, directory, name, |_| false)
            .await?;
        let tail_end = hold_end + cell.probe.timeout + Duration::from_secs(1);
        self.pass(&phase("tail"), tail_end, directory, name, |this| {
            let now = this.frame.segments.now_us();
            this.frame
                .is_load_decided(&this.collector.recorded(), step, now)
        })
        .await?;
        self.sources.ask(&self.collector.sender()).await;
        let load_end_us = self.frame.segments.begin(part(Segment::Recovery));
        self.end_load().await;
        self.recover(&phase("recovery"), load_end_us, directory, name)
            .await?;
        self.sources.ask(&self.collector.sender()).await;
        Ok(())
    }

    /// Waits until health is back and no background task is pending, 2 s at least and the limit at most.
    async fn recover(
        &mut self,
        phase: &str,
        load_end_us: u64,
        directory: &mut RunDirectory,
        name: &str,
    ) -> Result<(), Stop> {
        let limit = self.frame.task.cell.phases.recovery;
        let load_end = Duration::from_micros(load_end_us);
        let least = load_end + LEAST_RECOVERY.min(limit);
        self.pass(phase, load_end + limit, directory, name, |this| {
            let now = this.frame.segments.now_us();
            let recorded = this.collector.recorded();
            Duration::from_micros(now) >= least
                && Frame::has_drained(&recorded)
                && this.frame.has_recovered(&recorded, load_end_us)
        })
        .await
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
            at_us: self.frame.segments.now_us(),
        };
        self.frame.actions.borrow_mut().insert(n, done);
        Ok(())
    }
}
