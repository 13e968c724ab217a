use super::closed_loop::ClosedLoopProbe;
use super::gauge_usage::GaugeUsage;
use super::gauges::UpstreamStats;
use super::usage::{HostCpu, ProcessUsage};
use super::{Event, Outcome, Part, Recorder, Segment, Tick, Window};
use crate::load::{Load, LoadRecorder};
use crate::summary::ClosedLoop;

/// The processes of a run, as far as they are known when it begins.
#[derive(Clone, Copy, Debug)]
pub struct RecordedPids {
    /// The server under test.
    pub server: Option<u32>,
    /// The upstream.
    pub upstream: Option<u32>,
    /// The lab itself.
    pub lab: u32,
}

/// Everything that was recorded of a cell so far. What it needs does not grow with the length of a hold.
#[derive(Debug)]
pub struct Recorded {
    /// The checks.
    pub recorder: Recorder,
    /// By position of the endpoint.
    endpoints: Vec<EndpointRecord>,
    /// The load; of a cell with steps, that of the one under way.
    pub load: LoadRecorder,
    /// The server under test.
    pub server: ProcessUsage,
    /// Its gauges.
    pub gauges: GaugeUsage,
    /// The upstream.
    pub upstream: ProcessUsage,
    /// Its ledger, at the last look.
    pub upstream_stats: Option<UpstreamStats>,
    /// Most streams it had open at the same time by the end of the load. Later on, jobs that clients left
    /// behind overlap as they end, and nobody is served by them.
    pub served_peak: Option<u64>,
    /// The lab itself.
    pub lab: ProcessUsage,
    /// The machine.
    pub host_cpu: HostCpu,
    /// Steps that are over. What is recorded of the one under way stands in the fields above.
    steps: Vec<StepRecord>,
    is_stepped: bool,
    upstream_open_peak: Option<u64>,
}

/// What must be seen of the checks of one endpoint in their order.
#[derive(Clone, Debug)]
struct EndpointRecord {
    last: Option<Tick>,
    closed_loop: ClosedLoopProbe,
    /// Those that were due when there was no load any more.
    after_load: Vec<Tick>,
}

/// What was recorded of one step of a cell and belongs to no other.
#[derive(Clone, Debug)]
pub struct StepRecord {
    /// The load.
    pub load: LoadRecorder,
    /// The server under test; its CPU in the hold is that of this step's hold.
    pub server: ProcessUsage,
    /// The machine, likewise.
    pub host_cpu: HostCpu,
    /// Most streams that the upstream was seen to have open at once while the load lasted.
    pub upstream_open_peak: Option<u64>,
    /// Streams that it was last seen to have open.
    pub upstream_open: Option<u64>,
}

/// When something was seen.
#[derive(Clone, Copy, Debug)]
pub struct When {
    /// The part of the cell that it belongs to: for a check that in which it was due.
    pub part: Part,
    /// The window of the load that is under way.
    pub window: Window,
    /// On the cell's clock.
    pub now_us: u64,
}

impl Recorded {
    /// Nothing yet, of a cell with so many endpoints that asks for this load.
    #[must_use]
    pub fn new(timeout_us: u64, endpoints: usize, asked: &Load, pids: RecordedPids) -> Self {
        let endpoint = EndpointRecord {
            last: None,
            closed_loop: ClosedLoopProbe::new(timeout_us),
            after_load: Vec::new(),
        };
        Self {
            recorder: Recorder::new(timeout_us),
            endpoints: vec![endpoint; endpoints],
            load: LoadRecorder::new(asked),
            server: ProcessUsage::new(pids.server),
            gauges: GaugeUsage::default(),
            upstream: ProcessUsage::new(pids.upstream),
            upstream_stats: None,
            served_peak: None,
            lab: ProcessUsage::new(Some(pids.lab)),
            host_cpu: HostCpu::default(),
            steps: Vec::new(),
            is_stepped: false,
            upstream_open_peak: None,
        }
    }

    /// Takes in what was measured.
    pub fn record(&mut self, event: Event, when: When) {
        let When { part, now_us, .. } = when;
        let in_hold = part.segment == Segment::Hold;
        match event {
            Event::Tick(tick) => {
                self.recorder.record(&tick, part);
                if let Some(endpoint) = self.endpoints.get_mut(tick.endpoint) {
                    endpoint.last = Some(tick);
                    endpoint.closed_loop.add(tick);
                    if part.segment == Segment::Recovery {
                        endpoint.after_load.push(tick);
                    }
                }
            }
            Event::StepBegins => self.begin_step(),
            Event::Load(event) => self.load.add(event, when.window, now_us),
            Event::Resources(resources) => {
                for (usage, sample) in [
                    (&mut self.server, resources.server),
                    (&mut self.upstream, resources.upstream),
                    (&mut self.lab, resources.lab),
                ] {
                    if let Some(sample) = sample {
                        usage.add(now_us, sample, in_hold);
                    }
                }
                self.host_cpu.add(resources.host, in_hold);
            }
            Event::Gauges { pid, at_us, gauges } => {
                self.gauges.add(at_us, pid, gauges, part.segment);
            }
            Event::Upstream { stats, .. } => {
                if part.segment < Segment::Recovery {
                    self.served_peak = Some(stats.open_peak);
                }
                if part.segment.is_under_load() {
                    self.upstream_open_peak = self.upstream_open_peak.max(Some(stats.open));
                }
                self.upstream_stats = Some(stats);
            }
            Event::Finish => {}
        }
    }

    /// A step begins: what was recorded of the one before it stands. Streams that go on are carried
    /// over.
    fn begin_step(&mut self) {
        if self.is_stepped {
            let step = self.step();
            self.steps.push(step);
        }
        self.is_stepped = true;
        self.load = self.load.go_on();
        self.server.begin_hold();
        self.host_cpu = HostCpu::default();
        self.upstream_open_peak = None;
    }

    /// Requests for streams that were begun, in all steps.
    #[must_use]
    pub fn streams_started(&self) -> u64 {
        let before = self.steps.iter().map(|step| &step.load);
        let all = before.chain([&self.load]);
        all.map(|load| load.streams.started_so_far()).sum()
    }

    /// Streams that the upstream was last seen to have open.
    #[must_use]
    pub fn upstream_open(&self) -> Option<u64> {
        self.upstream_stats.as_ref().map(|stats| stats.open)
    }

    /// The step that is under way.
    fn step(&self) -> StepRecord {
        StepRecord {
            load: self.load.clone(),
            server: self.server.clone(),
            host_cpu: self.host_cpu.clone(),
            upstream_open_peak: self.upstream_open_peak,
            upstream_open: self.upstream_open(),
        }
    }

    /// Every step that has begun, in order; none in a cell without.
    #[must_use]
    pub fn all_steps(&self) -> Vec<StepRecord> {
        let now = self.is_stepped.then(|| self.step());
        self.steps.iter().cloned().chain(now).collect()
    }

    /// How many steps have begun.
    pub(crate) fn steps_begun(&self) -> usize {
        self.steps.len() + usize::from(self.is_stepped)
    }

    /// The last check of an endpoint that has its outcome.
    #[must_use]
    pub fn last_check(&self, endpoint: usize) -> Option<&Tick> {
        self.endpoints.get(endpoint)?.last.as_ref()
    }

    /// The checks of an endpoint that were due when there was no load, in the order of their outcomes.
    #[must_use]
    pub fn after_load(&self, endpoint: usize) -> &[Tick] {
        let endpoint = self.endpoints.get(endpoint);
        endpoint.map_or(&[], |endpoint| &endpoint.after_load)
    }

    /// What a closed-loop probe would have reported of an endpoint.
    #[must_use]
    pub fn closed_loop(&self, endpoint: usize) -> ClosedLoop {
        let Some(record) = self.endpoints.get(endpoint) else {
            return ClosedLoop::default();
        };
        let whole = self.recorder.whole(endpoint);
        let (due, ok) = (whole.total(), whole.count(Outcome::Ok));
        ClosedLoop {
            open_loop_us: whole.response_figures(),
            open_loop_unanswered_percent: (due > 0).then(|| 100.0 * (due - ok) as f64 / due as f64),
            ..record.closed_loop.figures()
        }
    }
}
