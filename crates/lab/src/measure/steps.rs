use super::collector::Recorded;
use super::requests::ClassRecorder;
use super::resources::{HostCpu, ProcessUsage};
use super::stream::StreamRecorder;

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
    /// A step begins: what was recorded of the one before it stands. Streams that go on are carried
    /// over.
    pub(super) fn begin_step(&mut self) {
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
