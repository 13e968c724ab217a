use std::collections::BTreeMap;

use super::SoFar;
use crate::judge::{flat, recovery};
use crate::load::LoadRecorder;
use crate::record::{Part, Segment, StepRecord, Tick};
use crate::summary::{LoadPhase, Phase, Phases, Probe, Recovery};
use crate::units::us;

/// What was recorded of a load, and what the upstream counted in it.
#[derive(Clone, Copy)]
pub(super) struct Loaded<'a> {
    pub(super) step: Option<usize>,
    pub(super) load: &'a LoadRecorder,
    pub(super) served_peak: Option<u64>,
}

impl<'a> Loaded<'a> {
    pub(super) fn of_step(step: usize, record: &'a StepRecord) -> Self {
        Self {
            step: Some(step),
            load: &record.load,
            served_peak: record.upstream_open_peak,
        }
    }
}

impl SoFar<'_> {
    /// The phases of the cell; of one with steps, of its last step.
    pub(super) fn phases(&self) -> Phases {
        let recorded = self.recorded;
        let baseline = self.phase(Segment::Baseline);
        let step = self.last_step();
        let of_step = step.and_then(|step| recorded.all_steps().into_iter().nth(step));
        let load = match (step, &of_step) {
            (Some(step), Some(record)) => self.load(Loaded::of_step(step, record)),
            _ => self.load(Loaded {
                step,
                load: &recorded.load,
                served_peak: recorded.served_peak,
            }),
        };
        Phases {
            load,
            recovery: self.recovery(step, &baseline.probes),
            baseline,
        }
    }

    /// The step that is under way or was the last, if the cell has any. What is asked afresh after a
    /// hang-up is no step of the load.
    pub(super) fn last_step(&self) -> Option<usize> {
        let last = self.times.begun(self.end_us).last()?.step?;
        match self.course.after_hang_up {
            Some((afresh, _)) => Some(last.min(afresh.saturating_sub(1))),
            None => Some(last),
        }
    }

    /// Ramp, hold and tail of a load.
    pub(super) fn load(&self, loaded: Loaded<'_>) -> LoadPhase {
        let phase = |segment| self.phase(Part::of(loaded.step, segment));
        let (ramp, hold, tail) = (
            phase(Segment::Ramp),
            phase(Segment::Hold),
            phase(Segment::Tail),
        );
        let phase = LoadPhase {
            started_us: ramp.started_us,
            duration_us: ramp.duration_us + hold.duration_us + tail.duration_us,
            probes: hold.probes,
            hold_started_us: hold.started_us,
            hold_us: hold.duration_us,
            ramp,
            tail,
            ..LoadPhase::default()
        };
        let asked = &self.frame.cell.load;
        loaded.load.figures(asked, loaded.served_peak, phase)
    }

    /// What follows a load.
    pub(super) fn recovery(
        &self,
        step: Option<usize>,
        baseline: &BTreeMap<String, Probe>,
    ) -> Recovery {
        let phase = self.phase(Part::of(step, Segment::Recovery));
        let until_us = phase.started_us + phase.duration_us;
        let is_there = phase.duration_us > 0;
        Recovery {
            started_us: phase.started_us,
            duration_us: phase.duration_us,
            probes: phase.probes,
            time_to_recover_us: is_there
                .then(|| self.time_to_recover(baseline, (phase.started_us, until_us)))
                .flatten(),
        }
    }

    fn phase(&self, part: impl Into<Part>) -> Phase {
        let part = part.into();
        let Some((start, end)) = self.times.span(part, self.end_us) else {
            return Phase::default();
        };
        Phase {
            started_us: start,
            duration_us: end - start,
            probes: self.by_endpoint(|endpoint| {
                let due = self.frame.plan.due_between(endpoint, start, end);
                self.recorded.recorder.figures(part, endpoint, due)
            }),
        }
    }

    /// Something of each endpoint, by its name.
    pub(super) fn by_endpoint<T>(&self, of: impl Fn(usize) -> T) -> BTreeMap<String, T> {
        let endpoints = self.frame.endpoints.iter().enumerate();
        endpoints
            .map(|(endpoint, name)| (name.clone(), of(endpoint)))
            .collect()
    }

    /// From the end of the load until health is back, for the endpoint that takes longest; `None` if
    /// one is not.
    fn time_to_recover(
        &self,
        baseline: &BTreeMap<String, Probe>,
        (load_end_us, until_us): (u64, u64),
    ) -> Option<u64> {
        let endpoints = self.frame.endpoints.iter().enumerate();
        let times = endpoints.map(|(endpoint, name)| {
            let is_of_it = |tick: &&Tick| (load_end_us..until_us).contains(&tick.due_us);
            let ticks = self.recorded.after_load(endpoint).iter().filter(is_of_it);
            let ticks: Vec<_> = ticks.copied().collect();
            let bound = flat::bound_us(baseline.get(name)?);
            recovery::time_to_recover_us(&ticks, self.frame.cell.probe.rate, bound, load_end_us)
        });
        times.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// Whether health is back after a load that ended at `load_end_us`, as far as is known.
    #[must_use]
    pub fn has_recovered(&self, load_end_us: u64) -> bool {
        let baseline = self.phase(Segment::Baseline).probes;
        self.time_to_recover(&baseline, (load_end_us, u64::MAX))
            .is_some()
    }

    /// Whether no background task is pending, as far as the server tells.
    #[must_use]
    pub fn has_drained(&self) -> bool {
        let last = self.recorded.gauges.last();
        let background = last.and_then(|last| last.background);
        background.is_none_or(|background| background.pending == 0)
    }

    /// Whether the load may end, of the cell or of a step: every check that was due in the hold has its
    /// outcome, and so has every request that was due in ramp or hold, and every stream that was started
    /// its first byte. What has none as late as the last check could have one will have none: so the
    /// outcomes of all variants are of the same age.
    #[must_use]
    pub fn is_load_decided(&self, step: Option<usize>) -> bool {
        let timeout_us = us(self.frame.cell.probe.timeout);
        let hold = self.times.span(Part::of(step, Segment::Hold), self.end_us);
        let is_waited_for = hold.is_none_or(|(_, end_us)| self.end_us < end_us + timeout_us);
        self.is_hold_decided(step) && !(is_waited_for && self.recorded.load.waits())
    }

    /// Whether every check that was due in the hold, of the cell or of a step, has its outcome.
    #[must_use]
    pub fn is_hold_decided(&self, step: Option<usize>) -> bool {
        let hold = Part::of(step, Segment::Hold);
        let Some((start, end)) = self.times.span(hold, self.end_us) else {
            return false;
        };
        (0..self.frame.endpoints.len()).all(|endpoint| {
            let decided = self.recorded.recorder.decided(hold, endpoint);
            decided >= self.frame.plan.due_between(endpoint, start, end)
        })
    }
}
