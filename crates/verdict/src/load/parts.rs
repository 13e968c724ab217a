//! What a load is made of, kind by kind: in the scenario file, while it runs, and in the summary. Each of
//! these has a place for every kind.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::hang_ups::{HangUpEvent, HangUpFigures, HangUpRecorder, HangUpSpec};
use super::kubelet::{KubeletEvent, KubeletRecorder};
use super::requests::{
    RequestEvent, RequestFigures, RequestInterval, RequestRecorder, RequestSpec,
};
use super::streams::{StreamEvent, StreamFigures, StreamRecorder, StreamSpec};
use super::table::Table;
use crate::record::{Columns, Times, Window};
use crate::scenario::Step;
use crate::summary::{Lateness, Phase, Probe};

/// What is asked of the server: `[load]` of a scenario file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Slow streams.
    pub streams: Option<StreamSpec>,
    /// Requests, by class.
    #[serde(default)]
    pub requests: BTreeMap<String, RequestSpec>,
    /// Clients that hang up.
    pub hang_ups: Option<HangUpSpec>,
}

impl Load {
    /// The tables of which a cell must have one.
    pub(crate) const TABLES: &str =
        "something that is asked: [load.streams], [load.hang_ups] or [load.requests.<class>]";

    /// The tables that are there.
    pub(crate) fn tables(&self) -> Vec<&dyn Table> {
        let mut tables: Vec<&dyn Table> = Vec::new();
        tables.extend(self.streams.iter().map(|table| table as &dyn Table));
        tables.extend(self.hang_ups.iter().map(|table| table as &dyn Table));
        if !self.requests.is_empty() {
            tables.push(&self.requests);
        }
        tables
    }

    /// The load of the last of `steps`.
    pub(crate) fn in_step(&self, steps: &[Step]) -> Self {
        Self {
            streams: self.streams.as_ref().map(|one| one.in_step(steps)),
            ..self.clone()
        }
    }

    /// Until the whole load is there.
    #[must_use]
    pub fn ramp(&self) -> Duration {
        let ramps = self.tables().into_iter().map(Table::ramp);
        ramps.max().unwrap_or_default()
    }

    /// How long after its start a load that ends by itself must be over.
    #[must_use]
    pub fn within(&self) -> Duration {
        let within = self.tables().into_iter().map(Table::within);
        within.max().unwrap_or_default()
    }

    /// Most connections that it can have open at once.
    #[must_use]
    pub fn at_once(&self) -> u64 {
        self.tables().into_iter().map(Table::at_once).sum()
    }
}

/// Something that happens to a load, or to what looks after the server.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the kinds say what each is")]
pub enum LoadEvent {
    Streams(StreamEvent),
    Requests(RequestEvent),
    HangUps(HangUpEvent),
    Kubelet(KubeletEvent),
}

/// What was recorded of a load so far.
#[derive(Clone, Debug, Default)]
pub struct LoadRecorder {
    /// The streams.
    pub streams: StreamRecorder,
    /// The requests, by class.
    pub requests: RequestRecorder,
    /// The clients that hang up.
    pub hang_ups: HangUpRecorder,
    /// The kubelet, if it did or saw anything.
    pub kubelet: Option<KubeletRecorder>,
}

impl LoadRecorder {
    /// Nothing yet of what is asked.
    #[must_use]
    pub fn new(asked: &Load) -> Self {
        Self {
            requests: RequestRecorder::new(&asked.requests),
            ..Self::default()
        }
    }

    /// Takes in what happened at `now_us`; `window` is that of the load that is under way.
    pub fn add(&mut self, event: LoadEvent, window: Window, now_us: u64) {
        match event {
            LoadEvent::Streams(event) => self.streams.add(&event, window, now_us),
            LoadEvent::Requests(event) => self.requests.add(&event, window),
            LoadEvent::HangUps(event) => self.hang_ups.add(event),
            LoadEvent::Kubelet(event) => self.kubelet.get_or_insert_default().add(event),
        }
    }

    /// A recorder of the step that begins now. What goes on from one step to the next is carried over.
    #[must_use]
    pub fn go_on(&self) -> Self {
        Self {
            streams: self.streams.go_on(),
            requests: self.requests.go_on(),
            ..self.clone()
        }
    }

    /// Whether the server now holds only what it always holds, as it does until the load begins.
    #[must_use]
    pub fn is_warm(&self) -> bool {
        self.hang_ups.is_warm()
    }

    /// Whether a load that ends by itself has nothing left to send.
    #[must_use]
    pub fn is_over(&self, asked: &Load) -> bool {
        asked.hang_ups.is_none() || self.hang_ups.is_over()
    }

    /// Whether a stream waits for its first byte, or a judged request waits for its outcome.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.streams.waiting() > 0 || self.requests.waits()
    }

    /// From this time on, what the load has left over can be counted. It is on the cell's clock.
    #[must_use]
    pub fn settled(&self, asked: &Load) -> Duration {
        let hang_ups = asked.hang_ups.as_ref();
        hang_ups.map_or(Duration::ZERO, |spec| {
            self.hang_ups.last_left() + spec.settle
        })
    }

    /// How late streams were started, and how late requests were sent, by class.
    #[must_use]
    pub fn lateness(&self, asked: &Load) -> (Lateness, BTreeMap<String, Lateness>) {
        let requests = self.requests.lateness(&asked.requests);
        (self.streams.dispatch().lateness(), requests)
    }

    /// What was sent and has no outcome yet, each with its number.
    #[must_use]
    pub fn undecided(&self, asked: &Load) -> Vec<String> {
        let mut all = self.requests.undecided(&asked.requests);
        all.extend(self.hang_ups.undecided());
        all
    }

    /// What a person sees of it while it is under way.
    #[must_use]
    pub fn now(&self) -> Vec<String> {
        let mut all: Vec<_> = self.streams.now().into_iter().collect();
        all.extend(self.requests.now());
        all.extend(self.hang_ups.now());
        all.extend(self.kubelet.as_ref().map(KubeletRecorder::now));
        all
    }

    /// Adds the figures of each kind to those of the phase; `served_peak` is what the upstream counted.
    #[must_use]
    pub fn figures(&self, asked: &Load, served_peak: Option<u64>, phase: LoadPhase) -> LoadPhase {
        let window = phase.window();
        let end_us = phase.started_us + phase.duration_us;
        let streams = &self.streams;
        LoadPhase {
            streams: streams.figures_at(end_us, served_peak, phase.duration_us),
            requests: self.requests.figures(&asked.requests, window),
            hang_ups: asked
                .hang_ups
                .as_ref()
                .map(|one| self.hang_ups.figures(one)),
            ..phase
        }
    }
}

/// What became of a load in one interval of the log.
#[derive(Clone, Debug)]
pub(crate) struct LoadInterval {
    streams: StreamRecorder,
    requests: RequestInterval,
}

impl LoadInterval {
    pub(crate) fn new(asked: &Load) -> Self {
        Self {
            streams: StreamRecorder::default(),
            requests: RequestInterval::new(asked.requests.len()),
        }
    }

    pub(crate) fn add(&mut self, event: &LoadEvent) {
        match event {
            LoadEvent::Streams(event) => self.streams.add(event, Window::default(), 0),
            LoadEvent::Requests(event) => self.requests.add(event),
            LoadEvent::HangUps(_) | LoadEvent::Kubelet(_) => {}
        }
    }

    /// The histograms by their tags in the interval log.
    pub(crate) fn tagged<'a>(&'a self, asked: &'a Load) -> Vec<(String, &'a Times)> {
        let mut all = Vec::from(self.streams.tagged());
        all.extend(self.requests.tagged(&asked.requests));
        all
    }

    /// The columns of the timeline: what came in the interval, and what `recorded` has by its end.
    pub(crate) fn columns(&self, asked: &Load, recorded: &LoadRecorder, columns: &mut Columns) {
        let requests = &self.requests;
        requests.columns(&asked.requests, &recorded.requests, columns);
        recorded.streams.columns(columns);
    }
}

/// The phase under load.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadPhase {
    /// Start of the ramp, from the start of the cell's clock.
    pub started_us: u64,
    /// Ramp, hold and tail together.
    pub duration_us: u64,
    /// While the load builds up.
    pub ramp: Phase,
    /// The hold: by name of the endpoint.
    pub probes: BTreeMap<String, Probe>,
    /// Start of the hold.
    pub hold_started_us: u64,
    /// Length of the hold.
    pub hold_us: u64,
    /// After the hold the load goes on until every check that was due in the hold has its outcome, so
    /// that none is answered because the load ended.
    pub tail: Phase,
    /// The streams.
    pub streams: StreamFigures,
    /// Requests of the load, by class: those that were due in ramp and hold.
    pub requests: BTreeMap<String, RequestFigures>,
    /// Clients that hang up.
    #[serde(default)]
    pub hang_ups: Option<HangUpFigures>,
}

impl LoadPhase {
    /// Ramp and hold.
    pub(crate) fn window(&self) -> Window {
        Window {
            start_us: self.started_us,
            hold_us: self.hold_started_us,
            end_us: self.hold_started_us + self.hold_us,
        }
    }
}
