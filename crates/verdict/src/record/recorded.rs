use super::gauge_usage::GaugeUsage;
use super::gauges::UpstreamStats;
use super::usage::{HostCpu, ProcessUsage};
use super::{Event, Part, Recorder, Segment, Tick};
use crate::load::hang_ups::HangUpRecorder;
use crate::load::kubelet::KubeletRecorder;
use crate::load::requests::ClassRecorder;
use crate::load::streams::StreamRecorder;

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

/// Everything that was recorded of a cell so far.
#[derive(Debug)]
pub struct Recorded {
    /// The checks.
    pub recorder: Recorder,
    /// Each check, for what must be seen in order.
    pub ticks: Vec<Tick>,
    /// The streams.
    pub streams: StreamRecorder,
    /// The requests of the load, by class.
    pub requests: Vec<ClassRecorder>,
    /// The clients that hang up.
    pub hang_ups: HangUpRecorder,
    /// The server under test.
    pub server: ProcessUsage,
    /// Its gauges.
    pub gauges: GaugeUsage,
    /// The upstream.
    pub upstream: ProcessUsage,
    /// Its ledger, at the last look.
    pub upstream_stats: Option<UpstreamStats>,
    /// Most streams it had open at once by the end of the load. Afterwards the jobs that clients left
    /// behind overlap as they end, which is not service.
    pub served_peak: Option<u64>,
    /// The lab itself.
    pub lab: ProcessUsage,
    /// The machine.
    pub host_cpu: HostCpu,
    /// The kubelet, if it did or saw anything.
    pub kubelet: Option<KubeletRecorder>,
    /// Steps that are over. What is recorded of the one under way stands in the fields above.
    steps: Vec<StepRecord>,
    is_stepped: bool,
    upstream_open_peak: Option<u64>,
}

/// What was recorded of one step of a cell and belongs to no other.
#[derive(Clone, Debug)]
pub struct StepRecord {
    /// The streams.
    pub streams: StreamRecorder,
    /// The requests of the load, by class.
    pub requests: Vec<ClassRecorder>,
    /// The server under test; its CPU in the hold is that of this step's hold.
    pub server: ProcessUsage,
    /// The machine, likewise.
    pub host_cpu: HostCpu,
    /// Most streams that the upstream was seen to have open at once while the load lasted.
    pub upstream_open_peak: Option<u64>,
    /// Streams that it was last seen to have open.
    pub upstream_open: Option<u64>,
}

impl Recorded {
    /// Nothing yet, of a cell with so many classes of requests.
    #[must_use]
    pub fn new(timeout_us: u64, classes: usize, pids: RecordedPids) -> Self {
        Self {
            recorder: Recorder::new(timeout_us),
            ticks: Vec::new(),
            streams: StreamRecorder::default(),
            requests: vec![ClassRecorder::default(); classes],
            hang_ups: HangUpRecorder::default(),
            server: ProcessUsage::new(pids.server),
            gauges: GaugeUsage::default(),
            upstream: ProcessUsage::new(pids.upstream),
            upstream_stats: None,
            served_peak: None,
            lab: ProcessUsage::new(Some(pids.lab)),
            host_cpu: HostCpu::default(),
            kubelet: None,
            steps: Vec::new(),
            is_stepped: false,
            upstream_open_peak: None,
        }
    }

    /// Takes in what was measured in `part` of the cell: for a check, the part in which it was due; for
    /// everything else, the part in which it was seen, at `now_us` on the cell's clock.
    pub fn record(&mut self, event: Event, part: Part, now_us: u64) {
        let in_hold = part.segment == Segment::Hold;
        match event {
            Event::Tick(tick) => {
                self.recorder.record(&tick, part);
                self.ticks.push(tick);
            }
            Event::StepBegins => self.begin_step(),
            Event::StreamStarted(start) => self.streams.started(start),
            Event::Head { ttfb_us } => self.streams.head(ttfb_us),
            Event::FirstChunk { stream, ttft_us } => self.streams.first_chunk(stream, ttft_us),
            Event::Gap { gap_us } => self.streams.gap(gap_us),
            Event::StreamEnded(record) => self.streams.ended(&record),
            Event::StreamNotSent => self.streams.not_sent(),
            Event::RequestStarted {
                class,
                due_us,
                late_us,
            } => {
                if let Some(class) = self.requests.get_mut(class) {
                    class.started(due_us, late_us);
                }
            }
            Event::RequestEnded(request) => {
                if let Some(class) = self.requests.get_mut(request.class) {
                    class.ended(request);
                }
            }
            Event::HangUp(event) => self.hang_ups.add(event),
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
            Event::Kubelet(event) => self.kubelet.get_or_insert_default().add(event),
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
        self.streams = self.streams.go_on();
        for class in &mut self.requests {
            *class = ClassRecorder::default();
        }
        self.server.begin_hold();
        self.host_cpu = HostCpu::default();
        self.upstream_open_peak = None;
    }

    /// The step that is under way.
    #[must_use]
    pub fn step(&self) -> StepRecord {
        StepRecord {
            streams: self.streams.clone(),
            requests: self.requests.clone(),
            server: self.server.clone(),
            host_cpu: self.host_cpu.clone(),
            upstream_open_peak: self.upstream_open_peak,
            upstream_open: self.upstream_stats.as_ref().map(|stats| stats.open),
        }
    }

    /// Every step that has begun, in order; none in a cell without.
    #[must_use]
    pub fn all_steps(&self) -> Vec<StepRecord> {
        let now = self.is_stepped.then(|| self.step());
        self.steps.iter().cloned().chain(now).collect()
    }
}
