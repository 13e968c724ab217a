use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;

use super::processes::{Stage, start};
use super::server::Gone;
use super::summarise::Frame;
use super::target;
use super::{Interrupt, RunDirectory, hang_ups_csv};
use crate::http::Reach;
use crate::load::{self, Load, StreamLoad};
use crate::measure::{
    Collector, Endpoint, LEVELS_TAKE, Pids, Prober, Segments, Setup, Sources, read_ledgers,
    read_levels,
};
use crate::show::progress::{Place, Progress, View};
use crate::stage::{Child, Records, StageError};
use verdict::load::hang_ups::HangUpEvent;
use verdict::record::{Event, Segment};
use verdict::scenario::{Cell, HangUps, Scenario, Variant};
use verdict::summary::{Forecast, State, Summary, probe_rank};
use verdict::units::us;

/// Time from the making of the clock to its start, for the probe to get ready.
pub(super) const LEAD: Duration = Duration::from_millis(100);

/// How often the phases look at what has been recorded.
const LOOK: Duration = Duration::from_millis(100);

/// Least time in recovery, so that its figures mean something, unless its limit is shorter.
pub(super) const LEAST_RECOVERY: Duration = Duration::from_secs(2);

/// One cell of one variant.
pub struct Task<'a> {
    pub scenario: &'a Scenario,
    pub variant: &'a Variant,
    pub cell: &'a Cell,
    pub repeat: u32,
    pub repeats: u32,
    pub command: &'a str,
    pub forecast: Vec<Forecast>,
    pub place: Place,
    pub interrupt: &'a Interrupt,
    /// Of a target.
    pub reach: Reach,
}

impl Task<'_> {
    /// Name of the cell's folder.
    pub(super) fn folder(&self) -> String {
        if self.repeats == 1 {
            self.cell.name.clone()
        } else {
            format!("{}.{}", self.cell.name, self.repeat)
        }
    }
}

/// Why a phase was left before its end.
pub(super) enum Stop {
    Interrupted,
    Failed(String),
    Environment(StageError),
}

/// Runs one cell with processes of its own, and saves what was measured whatever ends it.
///
/// # Errors
/// [`StageError`] if the environment fails; what was measured until then is saved if it can be.
pub async fn run(
    task: &Task<'_>,
    directory: &mut RunDirectory,
    records: &Records,
    progress: &Progress,
) -> Result<Summary, StageError> {
    let name = task.folder();
    let folder = directory.cell(&name)?;
    let mut view = progress.cell(
        &task.variant.name,
        &task.cell.name,
        task.repeat,
        task.repeats,
        task.place,
    );
    view.phase("start", None);
    let stage = tokio::select! {
        stage = start(task, &folder, records) => stage?,
        () = task.interrupt.requested() => return Err(StageError::Interrupted),
    };
    let mut experiment =
        Experiment::begin(task, &folder, stage, view).map_err(|error| StageError::NotReady {
            name: "the lab".to_owned(),
            reason: format!("{error:#}"),
        })?;
    let result = tokio::select! {
        result = experiment.all_phases(directory, &name) => result,
        () = task.interrupt.requested() => Err(Stop::Interrupted),
    };
    experiment.end(result, directory, &name).await
}

pub(super) struct Experiment<'a> {
    pub frame: Frame<'a>,
    pub stage: Stage,
    pub collector: Collector,
    prober: Prober,
    pub load: Option<Load>,
    /// The slots of a target.
    pub slots: Vec<StreamLoad>,
    pub sources: Sources,
    sampler: tokio::task::JoinHandle<std::convert::Infallible>,
    view: View,
}

impl<'a> Experiment<'a> {
    fn begin(
        task: &'a Task<'a>,
        folder: &std::path::Path,
        mut stage: Stage,
        view: View,
    ) -> anyhow::Result<Self> {
        let cell = task.cell;
        let segments = Segments::new(Instant::now() + LEAD);
        let ramp_start = us(cell.phases.baseline);
        let hold_start = ramp_start + us(cell.load.ramp());
        let is_stepped = !cell.steps.is_empty();
        let has_pid = stage.pid(task).get().is_some();
        if !is_stepped {
            segments.plan(Segment::Ramp, ramp_start);
            segments.plan(Segment::Hold, hold_start);
            segments.plan(Segment::Tail, hold_start + us(cell.phases.hold));
        }

        let base = stage.listening.clone();
        let mut endpoints: Vec<_> = cell
            .probe
            .endpoints
            .iter()
            .map(|(name, path)| Endpoint {
                name: name.clone(),
                url: format!("{base}{path}"),
                headers: HeaderMap::new(),
            })
            .collect();
        endpoints.sort_by_key(|endpoint| probe_rank(&endpoint.name));
        if let Some(target) = &cell.target {
            endpoints = target::endpoints(target)?;
        }
        let names: Vec<_> = endpoints
            .iter()
            .map(|endpoint| endpoint.name.clone())
            .collect();
        let pids = Pids {
            server: stage.pid(task),
            upstream: stage.upstream.as_ref().map(Child::pid),
        };
        let collector = Collector::start(Setup {
            folder: folder.to_owned(),
            endpoints: names.clone(),
            classes: cell.load.requests.keys().cloned().collect(),
            timeout_us: us(cell.probe.timeout),
            segments: segments.clone(),
            pids: pids.clone(),
        })?;
        let prober = Prober::start(
            task.reach.client(cell.probe.keep_alive)?,
            endpoints,
            cell.probe.rate,
            cell.probe.timeout,
            cell.probe.keep_alive,
            segments.clone(),
            collector.sender(),
        )?;
        let sources = Sources {
            pids,
            gauges: stage.gauges.clone(),
            upstream: stage.upstream.as_ref().map(|child| child.url("listening")),
            count: match &cell.target {
                Some(target) => target::count(target)?,
                None => None,
            },
            fallback: stage.fallback.as_ref().map(|child| child.url("listening")),
            segments: segments.clone(),
            client: task.reach.client(true)?,
            looking: std::sync::Arc::default(),
        };
        let asked = load::Target {
            server: base.clone(),
            upstreams: sources.upstreams(),
        };
        let load = if is_stepped {
            None
        } else {
            Some(Load::start(
                &cell.load,
                &asked,
                task.scenario.seed,
                (cell.phases.baseline, 0),
                &segments,
                &collector.sender(),
            )?)
        };
        if let (Some(kubelet), Some(server)) = (&cell.kubelet, &mut stage.server) {
            let results = collector.sender();
            server.look_after(kubelet, &base, &segments, &results)?;
        }
        let sampler = tokio::spawn(sources.clone().sample_all(collector.sender()));
        Ok(Self {
            frame: Frame::new(task, segments, prober.plan(), names, has_pid),
            stage,
            collector,
            prober,
            load,
            slots: Vec::new(),
            sources,
            sampler,
            view,
        })
    }

    async fn all_phases(&mut self, directory: &mut RunDirectory, name: &str) -> Result<(), Stop> {
        if let Some(target) = &self.frame.task.cell.target {
            self.climb(target, directory, name).await
        } else if self.frame.task.cell.steps.is_empty() {
            self.phases(directory, name).await
        } else {
            self.steps(directory, name).await
        }
    }

    async fn phases(&mut self, directory: &mut RunDirectory, name: &str) -> Result<(), Stop> {
        let cell = self.frame.task.cell;
        let baseline_end = cell.phases.baseline;
        let ramp_end = baseline_end + cell.load.ramp();
        let hold_end = ramp_end + cell.phases.hold;
        if cell.load.hang_ups.is_some() {
            let end = baseline_end.saturating_sub(LEVELS_TAKE);
            self.pass("baseline", end, directory, name, |_| false)
                .await?;
            if self.collector.recorded().hang_ups.is_warm() {
                let levels = read_levels(&self.sources).await;
                self.tell(HangUpEvent::Before(levels));
            }
        }
        self.pass("baseline", baseline_end, directory, name, |_| false)
            .await?;
        self.pass("ramp", ramp_end, directory, name, |_| false)
            .await?;
        self.pass("hold", hold_end, directory, name, |_| false)
            .await?;
        // A check that is due last in the hold is decided a timeout later; the scheduler may add to it.
        let row_end = |hang_ups: &HangUps| baseline_end + hang_ups.within;
        let tail_end = (hold_end + cell.probe.timeout + Duration::from_secs(1))
            .max(cell.load.hang_ups.as_ref().map_or(Duration::ZERO, row_end));
        self.pass("tail", tail_end, directory, name, |this| {
            let now = this.frame.segments.now_us();
            let recorded = this.collector.recorded();
            let is_asked = cell.load.hang_ups.is_none() || recorded.hang_ups.is_over();
            is_asked && this.frame.is_load_decided(&recorded, None, now)
        })
        .await?;
        self.sources.ask(&self.collector.sender()).await;
        let load_end_us = self.frame.segments.begin(Segment::Recovery);
        self.end_load().await;
        let load_end = Duration::from_micros(load_end_us);
        let usual = LEAST_RECOVERY.min(cell.phases.recovery);
        let least = load_end + usual.max(self.settle(load_end));
        let limit = least.max(load_end + cell.phases.recovery);
        self.pass("recovery", limit, directory, name, |this| {
            let now = this.frame.segments.now_us();
            let recorded = this.collector.recorded();
            Duration::from_micros(now) >= least
                && Frame::has_drained(&recorded)
                && this.frame.has_recovered(&recorded, load_end_us)
        })
        .await?;
        if cell.load.hang_ups.is_some() {
            let levels = read_levels(&self.sources).await;
            let ledger = read_ledgers(&self.sources.client, &self.sources.upstreams()).await;
            self.tell(HangUpEvent::After(levels, ledger));
        }
        Ok(())
    }

    /// How long after the end of the load what hang-ups leave over must not be counted yet.
    fn settle(&self, load_end: Duration) -> Duration {
        let Some(hang_ups) = &self.frame.task.cell.load.hang_ups else {
            return Duration::ZERO;
        };
        let last = self.collector.recorded().hang_ups.last_left_us();
        let last = Duration::from_micros(last.unwrap_or(0));
        (last + hang_ups.settle).saturating_sub(load_end)
    }

    fn tell(&self, event: HangUpEvent) {
        self.send(Event::HangUp(event));
    }

    pub(super) fn send(&self, event: Event) {
        // The collector outlives every phase.
        let _ = self.collector.sender().send(event);
    }

    /// Waits until `end` on the cell's clock, or until `is_over`, and writes down every second what
    /// has been recorded.
    pub(super) async fn pass(
        &mut self,
        phase: &str,
        end: Duration,
        directory: &mut RunDirectory,
        name: &str,
        is_over: impl Fn(&Self) -> bool,
    ) -> Result<(), Stop> {
        let end = self.frame.segments.origin() + end;
        self.view.phase(phase, Some(end));
        let mut next_save = Instant::now() + Duration::from_secs(1);
        loop {
            let now = Instant::now();
            if now >= end || is_over(self) {
                return Ok(());
            }
            tokio::time::sleep_until(end.min(now + LOOK).into()).await;
            let now_us = self.frame.segments.now_us();
            self.view
                .update(&self.collector.recorded(), &self.frame.endpoints, now_us);
            self.look_at_processes(phase).await?;
            if let Some(source) = self.collector.failure() {
                let path = directory.path().join("cells").join(name);
                return Err(Stop::Environment(StageError::Write { path, source }));
            }
            if Instant::now() >= next_save {
                next_save += Duration::from_secs(1);
                let summary = self.summarise(State::Running, None);
                directory
                    .record(name, &summary)
                    .map_err(Stop::Environment)?;
            }
        }
    }

    /// A process that has ended and is not started again ends the run.
    async fn look_at_processes(&mut self, phase: &str) -> Result<(), Stop> {
        let ended = |name: &str, status: String| {
            Stop::Failed(format!("{name} ended in the {phase}: {status}"))
        };
        let stage = &mut self.stage;
        for upstream in stage.upstream.iter_mut().chain(&mut stage.fallback) {
            if let Some(status) = upstream.exited() {
                return Err(ended(upstream.name(), status.to_string()));
            }
        }
        if let Some(guarded) = &mut stage.guarded
            && let Some(status) = guarded.exited()
        {
            return Err(ended(guarded.name(), status.to_string()));
        }
        let Some(server) = &mut stage.server else {
            return Ok(());
        };
        match server.gone().await {
            None => Ok(()),
            Some(Gone::Ended(status)) => Err(ended(server.name(), status)),
            Some(Gone::Environment(error)) => Err(Stop::Environment(error)),
        }
    }

    pub(super) fn summarise(&self, state: State, failure: Option<String>) -> Summary {
        let recorded = self.collector.recorded();
        let end_us = self.frame.segments.now_us();
        self.frame.summarise(&recorded, end_us, state, failure)
    }

    /// Ends the streams off this thread: each reports how it ended, which takes a moment for thousands.
    pub(super) async fn end_load(&mut self) {
        let slots = std::mem::take(&mut self.slots);
        if !slots.is_empty() {
            // Dropping them ends them.
            let _ = tokio::task::spawn_blocking(move || drop(slots)).await;
        }
        if let Some(mut load) = self.load.take() {
            let end = move || {
                load.end();
                load
            };
            self.load = tokio::task::spawn_blocking(end).await.ok();
        }
    }

    /// Ends everything in order, judges, and saves.
    async fn end(
        mut self,
        result: Result<(), Stop>,
        directory: &mut RunDirectory,
        name: &str,
    ) -> Result<Summary, StageError> {
        self.view.phase("finish", None);
        let end_us = self.prober.stop_at(self.frame.segments.now_us());
        if result.is_ok() {
            // The last checks may take as long as any.
            let deadline =
                Instant::now() + self.frame.task.cell.probe.timeout + Duration::from_secs(1);
            while !self.prober.is_done() && Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        // A kubelet that kills now would tell of nothing that was measured.
        if let Some(server) = &mut self.stage.server {
            let _ = server.dismiss_kubelet().await;
        }
        self.prober.cut();
        while !self.prober.is_done() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.end_load().await;
        self.sampler.abort();
        let sender = self.collector.sender();
        self.sources.ask(&sender).await;
        drop(sender);
        self.stage.stop().await;
        self.collector.finish();
        let (state, failure, error) = match result {
            Ok(()) => (State::Complete, None, None),
            Err(Stop::Interrupted) => (State::Interrupted, None, None),
            Err(Stop::Failed(reason)) => (State::Failed, Some(reason), None),
            Err(Stop::Environment(error)) => {
                (State::Failed, Some(with_causes(&error)), Some(error))
            }
        };
        let summary = self
            .frame
            .summarise(&self.collector.recorded(), end_us, state, failure);
        let mut saved = directory.record(name, &summary);
        if self.frame.task.cell.load.hang_ups.is_some() && saved.is_ok() {
            let path = directory.path().join("cells").join(name);
            let path = path.join("hang_ups.csv");
            saved = hang_ups_csv::write(&path, &self.collector.recorded().hang_ups)
                .map_err(|source| StageError::Write { path, source });
        }
        match error {
            Some(error) => Err(error),
            None => saved.map(|()| summary),
        }
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
