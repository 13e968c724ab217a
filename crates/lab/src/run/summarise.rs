use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::SystemTime;

use super::cell::Task;
use crate::measure::{Segments, host};
use verdict::forecast;
use verdict::judge::{closed_loop, diagnosis, expectations, field, flat, quality, recovery, steps};
use verdict::load::requests::{ClassRecorder, Window};
use verdict::load::streams::StreamRecorder;
use verdict::record::{Censored, Part, Plan, Recorded, Segment, Tick, distribution, lateness};
use verdict::scenario;
use verdict::summary::{
    Action, Attach, ClosedLoop, Diagnosis, HangUps, Host, Kind, Kubelet, Lateness, Ledger,
    LoadPhase, Phase, Phases, Probe, Quality, Recovery, SCHEMA, State, Summary, Upstream,
};
use verdict::units::us;

/// What was asked of the server in a load, or in one step of it.
pub(super) struct Asked<'a> {
    pub streams: &'a StreamRecorder,
    pub requests: &'a [ClassRecorder],
    pub served_peak: Option<u64>,
}

/// What does not change while a cell runs.
pub(super) struct Frame<'a> {
    pub task: &'a Task<'a>,
    pub started: SystemTime,
    pub segments: Segments,
    pub plan: Plan,
    pub endpoints: Vec<String>,
    pub host: Host,
    /// What was done before steps, by their numbers.
    pub actions: RefCell<BTreeMap<usize, Action>>,
    /// Whether the process of the service is known.
    pub has_pid: bool,
    /// Streams that the upstream of a target had open before the load.
    pub upstream_open_before: Cell<Option<u64>>,
    /// Of a target: requests that waited for their turn, as no more may begin in a second.
    pub held_up: Cell<u64>,
    /// Of a target: the streams of the step that `max_time` left no time for.
    pub not_begun: Cell<Option<u32>>,
    /// Of a target: whether `max_time` left no time to ask for streams afresh.
    pub not_afresh: Cell<bool>,
    /// Of a target: the number of the step in which streams are asked for afresh, and of how many.
    pub after_hang_up: Cell<Option<(usize, u64)>>,
}

impl<'a> Frame<'a> {
    pub(super) fn new(
        task: &'a Task<'a>,
        segments: Segments,
        plan: Plan,
        endpoints: Vec<String>,
        has_pid: bool,
    ) -> Self {
        Self {
            task,
            started: SystemTime::now(),
            segments,
            plan,
            endpoints,
            host: host(),
            actions: RefCell::default(),
            has_pid,
            upstream_open_before: Cell::default(),
            held_up: Cell::default(),
            not_begun: Cell::default(),
            not_afresh: Cell::default(),
            after_hang_up: Cell::default(),
        }
    }

    /// What has been recorded until `end_us`, judged.
    pub(super) fn summarise(
        &self,
        recorded: &Recorded,
        end_us: u64,
        state: State,
        failure: Option<String>,
    ) -> Summary {
        let task = self.task;
        let mut summary = Summary {
            schema: SCHEMA,
            scenario: task.scenario.name.clone(),
            variant: task.variant.name.clone(),
            cell: task.cell.name.clone(),
            repeat: task.repeat,
            state,
            failure,
            parameters: task
                .cell
                .parameters()
                .into_iter()
                .chain([("seed".to_owned(), task.scenario.seed)])
                .collect(),
            started_at: humantime::format_rfc3339_seconds(self.started).to_string(),
            lab_version: env!("CARGO_PKG_VERSION").to_owned(),
            git_commit: env!("LAB_GIT_COMMIT").to_owned(),
            host: self.host.clone(),
            command: task.command.to_owned(),
            phases: self.phases(recorded, end_us),
            steps: Vec::new(),
            closed_loop: self.closed_loop(recorded),
            server: recorded.server.figures(),
            upstream: upstream(recorded, task.cell.target.is_none()),
            attach: self.attach(),
            leftovers: recorded.hang_ups.leftovers(),
            kubelet: None,
            forecast: task.forecast.clone(),
            quality: self.quality(recorded),
            diagnosis: Diagnosis {
                kind: Kind::Undecided,
                candidates: Vec::new(),
                evidence: Vec::new(),
                inferred_capacity: None,
            },
            expectations: Vec::new(),
            claims: Vec::new(),
        };
        summary.kubelet = self.kubelet(recorded, &summary.phases.load);
        summary.server.pool = recorded.gauges.pool();
        summary.server.bulkhead = recorded.gauges.bulkhead();
        summary.server.loop_lag_us_peak = recorded.gauges.loop_lag_us_peak();
        let last = self.last_step(end_us);
        let load_end = self
            .segments
            .span(Part::of(last, Segment::Recovery), end_us);
        summary.server.background = recorded.gauges.background(load_end.map(|(start, _)| start));
        if let Some(last) = recorded.gauges.last() {
            summary.server.timings = last.timings.clone();
            summary.server.sizes = last.sizes.clone();
        }
        let unaccounted = if state == State::Running {
            // Checks in flight have no outcome yet.
            Vec::new()
        } else {
            self.unaccounted(recorded, end_us)
        };
        summary.quality = quality::judge(
            std::mem::take(&mut summary.quality),
            &summary,
            task.cell.load.streams.as_ref(),
            recorded.streams.count_not_sent(),
            &unaccounted,
        );
        self.add_steps(&mut summary, recorded, end_us);
        let mut rows = std::mem::take(&mut summary.forecast);
        forecast::settle(&mut rows, &summary);
        summary.forecast = rows;
        let of_steps = steps::diagnosis(&summary.steps).filter(|_| summary.attach.is_none());
        summary.diagnosis = of_steps.unwrap_or_else(|| diagnosis::diagnose(&summary));
        summary.expectations = expectations::judge(&task.variant.expectations(task.cell), &summary);
        if !task.cell.shortened {
            summary.claims = field::judge(&task.variant.field_reports(task.cell), &summary);
        }
        summary
    }

    fn phases(&self, recorded: &Recorded, end_us: u64) -> Phases {
        let step = self.last_step(end_us);
        let baseline = self.phase(recorded, Segment::Baseline, end_us);
        let of_step = step.and_then(|step| recorded.all_steps().into_iter().nth(step));
        let load = match &of_step {
            None => Asked {
                streams: &recorded.streams,
                requests: &recorded.requests,
                served_peak: recorded.served_peak,
            },
            Some(record) => Asked {
                streams: &record.streams,
                requests: &record.requests,
                served_peak: record.upstream_open_peak,
            },
        };
        Phases {
            load: self.load(recorded, step, load, end_us),
            recovery: self.recovery(recorded, step, &baseline.probes, end_us),
            baseline,
        }
    }

    /// The step that is under way or was the last, if the cell has any. What is asked afresh after a
    /// hang-up is no step of the load.
    fn last_step(&self, end_us: u64) -> Option<usize> {
        let last = self.segments.begun(end_us).last()?.step?;
        match self.after_hang_up.get() {
            Some((afresh, _)) => Some(last.min(afresh.saturating_sub(1))),
            None => Some(last),
        }
    }

    fn attach(&self) -> Option<Attach> {
        let target = self.task.cell.target.as_ref()?;
        let mut told = super::target::told(target, self.has_pid);
        told.upstream_open_before = self.upstream_open_before.get();
        Some(told)
    }

    pub(super) fn load(
        &self,
        recorded: &Recorded,
        step: Option<usize>,
        asked: Asked<'_>,
        end_us: u64,
    ) -> LoadPhase {
        let phase = |segment| self.phase(recorded, Part::of(step, segment), end_us);
        let (ramp, hold, tail) = (
            phase(Segment::Ramp),
            phase(Segment::Hold),
            phase(Segment::Tail),
        );
        let hold_end_us = hold.started_us + hold.duration_us;
        let window = Window {
            start_us: ramp.started_us,
            hold_us: hold.started_us,
            end_us: hold_end_us,
        };
        let duration_us = ramp.duration_us + hold.duration_us + tail.duration_us;
        LoadPhase {
            started_us: ramp.started_us,
            duration_us,
            probes: hold.probes,
            hold_started_us: hold.started_us,
            hold_us: hold.duration_us,
            streams: asked.streams.figures_at(
                ramp.started_us + duration_us,
                asked.served_peak,
                duration_us,
            ),
            requests: self
                .classes(asked.requests)
                .map(|(name, spec, class)| (name.clone(), class.figures(spec, window)))
                .collect(),
            hang_ups: self.hang_ups(recorded),
            ramp,
            tail,
        }
    }

    pub(super) fn recovery(
        &self,
        recorded: &Recorded,
        step: Option<usize>,
        baseline: &BTreeMap<String, Probe>,
        end_us: u64,
    ) -> Recovery {
        let part = Part::of(step, Segment::Recovery);
        let Phase {
            started_us,
            duration_us,
            probes,
        } = self.phase(recorded, part, end_us);
        let span = (started_us, started_us + duration_us);
        Recovery {
            started_us,
            duration_us,
            probes,
            time_to_recover_us: (duration_us > 0)
                .then(|| self.time_to_recover(recorded, baseline, span))
                .flatten(),
        }
    }

    fn hang_ups(&self, recorded: &Recorded) -> Option<HangUps> {
        let spec = self.task.cell.load.hang_ups.as_ref()?;
        Some(recorded.hang_ups.figures(spec))
    }

    fn kubelet(&self, recorded: &Recorded, load: &LoadPhase) -> Option<Kubelet> {
        let window = Window {
            start_us: load.started_us,
            hold_us: load.hold_started_us,
            end_us: load.hold_started_us + load.hold_us,
        };
        let kubelet = recorded.kubelet.as_ref();
        kubelet.map(|kubelet| kubelet.figures(window))
    }

    fn classes<'r>(
        &self,
        recorders: &'r [ClassRecorder],
    ) -> impl Iterator<Item = (&'a String, &'a scenario::Requests, &'r ClassRecorder)> {
        let classes = self.task.cell.load.requests.iter();
        classes
            .zip(recorders)
            .map(|((name, spec), class)| (name, spec, class))
    }

    fn phase(&self, recorded: &Recorded, part: impl Into<Part>, end_us: u64) -> Phase {
        let part = part.into();
        let Some((start, end)) = self.segments.span(part, end_us) else {
            return Phase::default();
        };
        let probes = self.endpoints.iter().enumerate().map(|(endpoint, name)| {
            let due = self.plan.due_between(endpoint, start, end);
            (name.clone(), recorded.recorder.figures(part, endpoint, due))
        });
        Phase {
            started_us: start,
            duration_us: end - start,
            probes: probes.collect(),
        }
    }

    /// From the end of the load until health is back, for the endpoint that takes longest; `None` if
    /// one is not.
    pub(super) fn time_to_recover(
        &self,
        recorded: &Recorded,
        baseline: &BTreeMap<String, Probe>,
        (load_end_us, until_us): (u64, u64),
    ) -> Option<u64> {
        let times = self.endpoints.iter().enumerate().map(|(endpoint, name)| {
            let ticks: Vec<_> = of(recorded, endpoint)
                .filter(|tick| (load_end_us..until_us).contains(&tick.due_us))
                .copied()
                .collect();
            let bound = flat::bound_us(baseline.get(name)?);
            recovery::time_to_recover_us(&ticks, self.task.cell.probe.rate, bound, load_end_us)
        });
        times.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// Whether health is back, as far as is known.
    pub(super) fn has_recovered(&self, recorded: &Recorded, load_end_us: u64) -> bool {
        let baseline = self.phase(recorded, Segment::Baseline, load_end_us).probes;
        self.time_to_recover(recorded, &baseline, (load_end_us, u64::MAX))
            .is_some()
    }

    /// Whether no background task is pending, as far as the server tells.
    pub(super) fn has_drained(recorded: &Recorded) -> bool {
        let background = recorded.gauges.last().and_then(|last| last.background);
        background.is_none_or(|background| background.pending == 0)
    }

    /// Whether every check that was due in the hold, of the cell or of a step, has its outcome.
    pub(super) fn is_hold_decided(
        &self,
        recorded: &Recorded,
        step: Option<usize>,
        now_us: u64,
    ) -> bool {
        let hold = Part::of(step, Segment::Hold);
        let Some((start, end)) = self.segments.span(hold, now_us) else {
            return false;
        };
        (0..self.endpoints.len()).all(|endpoint| {
            let decided = recorded.recorder.decided(hold, endpoint);
            decided >= self.plan.due_between(endpoint, start, end)
        })
    }

    /// Whether the load may end: every check that was due in the hold has its outcome, and so has every
    /// request that was due in ramp or hold, and every stream that was started its first byte. What
    /// has none as late as the last check could have one will have none: so the outcomes of all variants
    /// are of the same age.
    pub(super) fn is_load_decided(
        &self,
        recorded: &Recorded,
        step: Option<usize>,
        now_us: u64,
    ) -> bool {
        let span = |segment| self.segments.span(Part::of(step, segment), now_us);
        let (Some((start_us, _)), Some((hold_us, end_us))) =
            (span(Segment::Ramp), span(Segment::Hold))
        else {
            return false;
        };
        let window = Window {
            start_us,
            hold_us,
            end_us,
        };
        let is_waited_for = now_us < end_us + us(self.task.cell.probe.timeout);
        let mut classes = recorded.requests.iter();
        let waits =
            recorded.streams.waiting() > 0 || classes.any(|class| class.undecided(window) > 0);
        self.is_hold_decided(recorded, step, now_us) && !(is_waited_for && waits)
    }

    fn closed_loop(&self, recorded: &Recorded) -> BTreeMap<String, ClosedLoop> {
        let of_endpoint = |(endpoint, name): (usize, &String)| {
            let mut ticks: Vec<_> = of(recorded, endpoint).collect();
            ticks.sort_unstable_by_key(|tick| tick.due_us);
            let (open_loop, ok) = recorded.recorder.whole(endpoint);
            let due = open_loop.len();
            let figures = ClosedLoop {
                open_loop_us: distribution(&open_loop, Censored::AboveRank(ok)),
                open_loop_unanswered_percent: (due > 0)
                    .then(|| 100.0 * (due - ok) as f64 / due as f64),
                ..closed_loop::reconstruct(ticks.into_iter())
            };
            (name.clone(), figures)
        };
        self.endpoints.iter().enumerate().map(of_endpoint).collect()
    }

    fn quality(&self, recorded: &Recorded) -> Quality {
        let (sent, not_sent) =
            recorded
                .recorder
                .all()
                .fold((0, 0), |(total, not_sent), (_, _, series)| {
                    (
                        total + series.total(),
                        not_sent + series.count(verdict::record::Outcome::NotSent),
                    )
                });
        Quality {
            probe_dispatch_us: lateness(&self.probe_dispatch(recorded)),
            load_dispatch_us: lateness(recorded.streams.dispatch()),
            requests_dispatch_us: self
                .classes(&recorded.requests)
                .map(|(name, _, class)| (name.clone(), lateness(class.dispatch())))
                .collect(),
            not_sent_percent: if sent > 0 {
                100.0 * not_sent as f64 / sent as f64
            } else {
                0.0
            },
            lab: recorded.lab.figures(),
            host_cpu_percent: recorded.host_cpu.percent(),
            open_files_limit: self.host.open_files_limit,
            ..Quality::default()
        }
    }

    /// How late the checks of the hold were sent, or those of all holds.
    fn probe_dispatch(&self, recorded: &Recorded) -> hdrhistogram::Histogram<u64> {
        let mut all = recorded.recorder.dispatch(Segment::Hold);
        for step in 0..recorded.all_steps().len() {
            let hold = Part::of(Some(step), Segment::Hold);
            // It resizes itself.
            let _ = all.add(recorded.recorder.dispatch(hold));
        }
        all
    }

    /// The phases in which outcomes and plan do not agree.
    fn unaccounted(&self, recorded: &Recorded, end_us: u64) -> Vec<String> {
        let mut wrong = Vec::new();
        for part in self.segments.begun(end_us) {
            let Some((start, end)) = self.segments.span(part, end_us) else {
                continue;
            };
            for (endpoint, name) in self.endpoints.iter().enumerate() {
                let due = self.plan.due_between(endpoint, start, end);
                let decided = recorded.recorder.decided(part, endpoint);
                if due != decided {
                    wrong.push(format!("{name} in the {part} ({decided} of {due})"));
                }
            }
        }
        for (name, _, class) in self.classes(&recorded.requests) {
            if class.in_flight() > 0 {
                wrong.push(format!("{name} ({} without an outcome)", class.in_flight()));
            }
        }
        let hang_ups = recorded.hang_ups.in_flight();
        if hang_ups > 0 {
            wrong.push(format!("hang-ups ({hang_ups} without an ending)"));
        }
        wrong
    }
}

fn of(recorded: &Recorded, endpoint: usize) -> impl Iterator<Item = &Tick> {
    recorded
        .ticks
        .iter()
        .filter(move |tick| tick.endpoint == endpoint)
}

fn upstream(recorded: &Recorded, is_own: bool) -> Upstream {
    let stats = recorded.upstream_stats.as_ref().filter(|_| is_own);
    let ledger = stats.map(|stats| Ledger {
        started: stats.started,
        completed: stats.completed,
        errored: stats.errored,
        aborted: stats.aborted,
        open: stats.open,
        open_peak: stats.open_peak,
        lateness_us: Lateness {
            count: stats.lateness_us.count,
            p50: stats.lateness_us.p50,
            p99: stats.lateness_us.p99,
            max: stats.lateness_us.max,
        },
    });
    Upstream {
        process: recorded.upstream.figures(),
        ledger,
    }
}
