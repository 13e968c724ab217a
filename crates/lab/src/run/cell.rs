use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::HeaderMap;

use super::commit::commit;
use super::processes::{Stage, start};
use super::server::Gone;
use super::task::Task;
use super::times::{LEAD, LEAST_RECOVERY, SPARE};
use super::{RunDirectory, target};
use crate::load::{self, RunningLoad, Slots, Start};
use crate::measure::{CellClock, Collector, Endpoint, Manner, Pids, Prober, Setup, Sources, host};
use crate::show::progress::{Progress, View};
use crate::stage::{Child, Records, StageError};
use verdict::record::{Recorded, Segment};
use verdict::summarise::{Course, Frame, SoFar};
use verdict::summary::{State, Summary, probe_rank};
use verdict::units::us;

/// How often the phases look at what has been recorded.
const LOOK: Duration = Duration::from_millis(100);

/// Why a phase was left before its end.
pub(super) enum Stop {
    Interrupted,
    Failed(String),
    Environment(StageError),
}

/// Runs one cell with processes of its own. It saves what was measured, whatever ends the cell.
///
/// # Errors
/// [`StageError`] if the environment fails. What was measured until then is saved if possible.
pub(super) async fn run(
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
    let place = Folder {
        directory,
        name,
        path: folder,
    };
    let mut experiment =
        Experiment::begin(task, place, stage, view).map_err(|error| StageError::NotReady {
            name: "the lab".to_owned(),
            reason: format!("{error:#}"),
        })?;
    let result = tokio::select! {
        result = experiment.all_phases() => result,
        () = task.interrupt.requested() => Err(Stop::Interrupted),
    };
    experiment.end(result).await
}

/// Where the cell is written to.
struct Folder<'a> {
    directory: &'a mut RunDirectory,
    name: String,
    path: PathBuf,
}

impl Folder<'_> {
    fn record(&mut self, summary: &Summary) -> Result<(), StageError> {
        self.directory.record(&self.name, summary)
    }

    fn error(&self, source: std::io::Error) -> StageError {
        StageError::write(&self.path)(source)
    }
}

/// A cell under way.
pub(super) struct Experiment<'a> {
    pub task: &'a Task<'a>,
    pub frame: Frame<'a>,
    pub course: Course,
    pub clock: CellClock,
    pub stage: Stage,
    pub collector: Collector,
    prober: Prober,
    pub load: Option<RunningLoad>,
    /// The slots of a target.
    pub slots: Vec<Slots>,
    pub sources: Sources,
    sampler: tokio::task::JoinHandle<std::convert::Infallible>,
    view: View,
    folder: Folder<'a>,
}

impl<'a> Experiment<'a> {
    fn begin(
        task: &'a Task<'a>,
        folder: Folder<'a>,
        mut stage: Stage,
        view: View,
    ) -> anyhow::Result<Self> {
        let cell = task.cell;
        let clock = CellClock::new(Instant::now() + LEAD);
        let is_stepped = !cell.steps.is_empty() || cell.target.is_some();
        if !is_stepped {
            let hold = cell.phases.baseline + cell.load.ramp();
            clock.plan(Segment::Ramp, us(cell.phases.baseline));
            clock.plan(Segment::Hold, us(hold));
            clock.plan(Segment::Tail, us(hold + cell.phases.hold));
        }
        let endpoints = endpoints(task, &stage.listening)?;
        let names: Vec<_> = endpoints.iter().map(|one| one.name.clone()).collect();
        let pids = Pids {
            server: stage.pid(task),
            upstream: stage.upstream.as_ref().map(Child::pid),
        };
        let pid = pids.server.get();
        let collector = Collector::start(Setup {
            folder: folder.path.clone(),
            endpoints: names.clone(),
            load: cell.load.clone(),
            timeout_us: us(cell.probe.timeout),
            clock: clock.clone(),
            pids: pids.clone(),
        })?;
        let results = collector.results();
        let prober = Prober::start(
            task.reach.client(cell.probe.keep_alive)?,
            endpoints,
            Manner {
                rate: cell.probe.rate,
                timeout: cell.probe.timeout,
                keep_alive: cell.probe.keep_alive,
                is_guest: cell.target.is_some(),
            },
            clock.clone(),
            results.clone(),
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
            clock: clock.clone(),
            client: task.reach.client(true)?,
            looking: std::sync::Arc::default(),
        };
        if let (Some(kubelet), Some(server)) = (&cell.kubelet, &mut stage.server) {
            server.look_after(kubelet, &stage.listening, &clock, results)?;
        }
        let sampler = tokio::spawn(sources.clone().sample_all(results.clone()));
        let first_look = stage.first_look.take();
        let told = |target| target::told(target, pid, first_look);
        let mut experiment = Self {
            task,
            frame: Frame {
                scenario: task.scenario,
                variant: task.variant,
                cell,
                repeat: task.repeat,
                command: task.command,
                started_at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
                lab: (env!("CARGO_PKG_VERSION"), commit()),
                host: host(),
                plan: prober.plan(),
                endpoints: names,
                forecast: &task.forecast,
                attach: cell.target.as_ref().map(told),
            },
            course: Course::default(),
            clock,
            stage,
            collector,
            prober,
            load: None,
            slots: Vec::new(),
            sources,
            sampler,
            view,
            folder,
        };
        if !is_stepped {
            let start = experiment.start(cell.phases.baseline, 0);
            experiment.load = Some(RunningLoad::start(&cell.load, &start)?);
        }
        Ok(experiment)
    }

    /// A start of a load at `at` on the cell's clock, whose streams are numbered from `first_stream` on.
    pub(super) fn start(&self, at: Duration, first_stream: u64) -> Start {
        Start {
            server: self.stage.listening.clone(),
            upstreams: self.sources.upstreams(),
            seed: self.task.scenario.seed,
            at,
            first_stream,
            clock: self.clock.clone(),
            results: self.collector.results().clone(),
        }
    }

    async fn all_phases(&mut self) -> Result<(), Stop> {
        if let Some(target) = &self.task.cell.target {
            self.climb(target).await
        } else if self.task.cell.steps.is_empty() {
            self.phases().await
        } else {
            self.steps().await
        }
    }

    async fn phases(&mut self) -> Result<(), Stop> {
        let cell = self.task.cell;
        let baseline_end = cell.phases.baseline;
        let ramp_end = baseline_end + cell.load.ramp();
        let hold_end = ramp_end + cell.phases.hold;
        if let Some(takes) = load::look_takes(&cell.load) {
            let end = baseline_end.saturating_sub(takes);
            self.pass("baseline", end).await?;
            if self.collector.recorded().load.is_warm() {
                let results = self.collector.results();
                load::look_before(&cell.load, &self.sources, results).await;
            }
        }
        self.pass("baseline", baseline_end).await?;
        self.pass("ramp", ramp_end).await?;
        self.pass("hold", hold_end).await?;
        // The last check of the hold may take a whole timeout.
        let checks_end = hold_end + cell.probe.timeout + SPARE;
        let tail_end = checks_end.max(baseline_end + cell.load.within());
        self.pass_until("tail", tail_end, |this| {
            let so_far = &this.collector.recorded();
            so_far.load.is_over(&cell.load) && this.so_far(so_far).is_load_decided(None)
        })
        .await?;
        let load_end_us = self.end_load_at(Segment::Recovery).await;
        let load_end = Duration::from_micros(load_end_us);
        let settled = self.collector.recorded().load.settled(&cell.load);
        let least = (load_end + LEAST_RECOVERY.min(cell.phases.recovery)).max(settled);
        let limit = least.max(load_end + cell.phases.recovery);
        self.recover("recovery", load_end_us, (least, limit))
            .await?;
        load::look_after(&cell.load, &self.sources, self.collector.results()).await;
        Ok(())
    }

    /// Takes a last look at the server under load, and ends the load. Then `part` begins.
    pub(super) async fn end_load_at(&mut self, part: impl Into<verdict::record::Part>) -> u64 {
        self.sources.ask(self.collector.results()).await;
        let load_end_us = self.clock.begin(part);
        self.end_load().await;
        load_end_us
    }

    /// Waits until health is back and no background task is pending. It waits at least until `least` and
    /// at most until `limit`, both on the cell's clock.
    pub(super) async fn recover(
        &mut self,
        phase: &str,
        load_end_us: u64,
        (least, limit): (Duration, Duration),
    ) -> Result<(), Stop> {
        self.pass_until(phase, limit, |this| {
            let recorded = &this.collector.recorded();
            let so_far = this.so_far(recorded);
            Duration::from_micros(so_far.end_us) >= least
                && so_far.has_drained()
                && so_far.has_recovered(load_end_us)
        })
        .await
    }

    /// What is known now.
    pub(super) fn so_far<'s>(&'s self, recorded: &'s Recorded) -> SoFar<'s> {
        SoFar {
            frame: &self.frame,
            recorded,
            times: self.clock.times(),
            course: &self.course,
            end_us: self.clock.now_us(),
        }
    }

    /// Waits until `end` on the cell's clock.
    pub(super) async fn pass(&mut self, phase: &str, end: Duration) -> Result<(), Stop> {
        self.pass_until(phase, end, |_| false).await
    }

    /// Waits until `end` on the cell's clock, or until `is_over`, and writes down every second what
    /// has been recorded.
    pub(super) async fn pass_until(
        &mut self,
        phase: &str,
        end: Duration,
        is_over: impl Fn(&Self) -> bool,
    ) -> Result<(), Stop> {
        let end = self.clock.origin() + end;
        self.view.phase(phase, Some(end));
        let mut next_save = Instant::now() + Duration::from_secs(1);
        loop {
            let now = Instant::now();
            if now >= end || is_over(self) {
                return Ok(());
            }
            tokio::time::sleep_until(end.min(now + LOOK).into()).await;
            self.attend(phase).await?;
            if Instant::now() >= next_save {
                next_save += Duration::from_secs(1);
                self.save(&self.summarise())?;
            }
        }
    }

    /// Shows what has been recorded, and ends the run if a process or the log has ended.
    pub(super) async fn attend(&mut self, phase: &str) -> Result<(), Stop> {
        let now_us = self.clock.now_us();
        self.view
            .update(&self.collector.recorded(), &self.frame.endpoints, now_us);
        self.look_at_processes(phase).await?;
        match self.collector.failure() {
            Some(source) => Err(Stop::Environment(self.folder.error(source))),
            None => Ok(()),
        }
    }

    /// Writes down what is known.
    pub(super) fn save(&mut self, summary: &Summary) -> Result<(), Stop> {
        self.folder.record(summary).map_err(Stop::Environment)
    }

    /// A phase begins, whose end is not known.
    pub(super) fn enter(&mut self, phase: &str) {
        self.view.phase(phase, None);
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

    /// What is known now, of a cell that runs.
    pub(super) fn summarise(&self) -> Summary {
        let recorded = &self.collector.recorded();
        self.so_far(recorded).summarise(State::Running, None)
    }

    /// Ends the load on another thread. Each request reports how it ended, and thousands of them take a
    /// moment.
    pub(super) async fn end_load(&mut self) {
        let slots = std::mem::take(&mut self.slots);
        if !slots.is_empty() {
            // Dropping the slots ends their streams.
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
    async fn end(mut self, result: Result<(), Stop>) -> Result<Summary, StageError> {
        self.view.phase("finish", None);
        let end_us = self.prober.stop_at(self.clock.now_us());
        if result.is_ok() {
            // The last checks may take a whole timeout too.
            let deadline = Instant::now() + self.task.cell.probe.timeout + SPARE;
            while !self.prober.is_done() && Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        // The measurement is over, so the kubelet must not kill any more.
        if let Some(server) = &mut self.stage.server {
            let _ = server.dismiss_kubelet().await;
        }
        self.prober.cut();
        while !self.prober.is_done() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.end_load().await;
        self.sampler.abort();
        self.sources.ask(self.collector.results()).await;
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
        let recorded = &self.collector.recorded();
        let so_far = SoFar {
            frame: &self.frame,
            recorded,
            times: self.clock.times(),
            course: &self.course,
            end_us,
        };
        let summary = so_far.summarise(state, failure);
        let saved = self.folder.record(&summary).and_then(|()| {
            let written = load::write_files(&self.task.cell.load, recorded, &self.folder.path);
            written.map_err(|source| self.folder.error(source))
        });
        match error {
            Some(error) => Err(error),
            None => saved.map(|()| summary),
        }
    }
}

/// The health checks of a cell, in the order in which they are shown.
fn endpoints(task: &Task<'_>, base: &str) -> anyhow::Result<Vec<Endpoint>> {
    if let Some(target) = &task.cell.target {
        return Ok(target::endpoints(target)?);
    }
    let paths = task.cell.probe.endpoints.iter();
    let mut endpoints: Vec<_> = paths
        .map(|(name, path)| Endpoint {
            name: name.clone(),
            url: format!("{base}{path}").as_str().into(),
            headers: HeaderMap::new(),
        })
        .collect();
    endpoints.sort_by_key(|endpoint| probe_rank(&endpoint.name));
    Ok(endpoints)
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
