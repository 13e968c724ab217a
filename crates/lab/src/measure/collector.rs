use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::gauges::{GaugeUsage, ServerGauges, UpstreamStats};
use super::hang_ups::{HangUpEvent, HangUpRecorder};
use super::interval_log::{self, Interval};
use super::requests::{ClassRecorder, RequestInterval, RequestRecord};
use super::resources::{HostCpu, ProcessSample, ProcessUsage};
use super::steps::StepRecord;
use super::stream::{StreamRecord, StreamRecorder, StreamStart};
use super::timeline::Timeline;
use super::{KubeletEvent, KubeletRecorder, LivePid, Recorder, Segment, Segments, Tick};
use crate::units::us;

/// Length of an interval of the log.
const INTERVAL: Duration = Duration::from_secs(1);

/// Something that was measured.
#[derive(Debug)]
pub enum Event {
    /// A check has its outcome.
    Tick(Tick),
    /// A step of the cell begins.
    StepBegins,
    /// A stream was started.
    StreamStarted(StreamStart),
    /// A stream received the head of its answer, this long after it was due.
    Head {
        /// Microseconds.
        ttfb_us: u64,
    },
    /// A stream received its first chunk, this long after it was due.
    FirstChunk {
        /// Which stream.
        stream: u64,
        /// Microseconds.
        ttft_us: u64,
    },
    /// A stream received a further chunk, this long after the one before.
    Gap {
        /// Microseconds.
        gap_us: u64,
    },
    /// A stream ended.
    StreamEnded(StreamRecord),
    /// A stream could not be started for want of a port or a file on this side.
    StreamNotSent,
    /// A request of the load was sent.
    RequestStarted {
        /// Its class, by position.
        class: usize,
        /// When it was due, in microseconds on the cell's clock.
        due_us: u64,
        /// How much later it was sent, in microseconds.
        late_us: u64,
    },
    /// A request of the load has its outcome.
    RequestEnded(RequestRecord),
    /// Something happened to clients that hang up.
    HangUp(HangUpEvent),
    /// A look at the processes and the machine.
    Resources(Resources),
    /// A look at the server's gauges.
    Gauges {
        /// Of this process.
        pid: u32,
        /// When they were answered, on the cell's clock.
        at_us: u64,
        /// What they said.
        gauges: ServerGauges,
    },
    /// A look at the upstream's ledger.
    Upstream {
        /// When it was answered, on the cell's clock.
        at_us: u64,
        /// What it said.
        stats: UpstreamStats,
    },
    /// The kubelet did or saw something.
    Kubelet(KubeletEvent),
    /// Nothing comes any more.
    Finish,
}

/// A look at the processes of a run and at the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resources {
    /// The server under test.
    pub server: Option<ProcessSample>,
    /// The upstream.
    pub upstream: Option<ProcessSample>,
    /// The lab itself.
    pub lab: Option<ProcessSample>,
    /// Ticks in use and in all.
    pub host: Option<(u64, u64)>,
}

/// The process numbers to whom [`Resources`] belong.
#[derive(Clone, Debug)]
pub struct Pids {
    /// The server under test, which a kubelet may restart.
    pub server: LivePid,
    /// The upstream, if it is the lab's own.
    pub upstream: Option<u32>,
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
    pub(super) steps: Vec<StepRecord>,
    pub(super) is_stepped: bool,
    pub(super) upstream_open_peak: Option<u64>,
}

/// Records events on an OS thread of its own and logs every second what came.
#[derive(Debug)]
pub struct Collector {
    events: Sender<Event>,
    recorded: Arc<Mutex<Recorded>>,
    failure: Arc<Mutex<Option<std::io::Error>>>,
    thread: Option<JoinHandle<()>>,
}

/// Where and how a [`Collector`] logs.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The cell's folder.
    pub folder: PathBuf,
    /// Names of the endpoints, by position.
    pub endpoints: Vec<String>,
    /// Names of the classes of requests, by position.
    pub classes: Vec<String>,
    /// Timeout of a check.
    pub timeout_us: u64,
    /// The cell's clock.
    pub segments: Segments,
    /// The processes of the run.
    pub pids: Pids,
}

impl Collector {
    /// Starts it; `latency.hlog` and `timeline.csv` are written into the cell's folder.
    ///
    /// # Errors
    /// If a file or the thread cannot be made.
    pub fn start(setup: Setup) -> std::io::Result<Self> {
        let recorded = Arc::new(Mutex::new(Recorded {
            recorder: Recorder::new(setup.timeout_us),
            ticks: Vec::new(),
            streams: StreamRecorder::default(),
            requests: vec![ClassRecorder::default(); setup.classes.len()],
            hang_ups: HangUpRecorder::default(),
            server: ProcessUsage::new(setup.pids.server.get()),
            gauges: GaugeUsage::default(),
            upstream: ProcessUsage::new(setup.pids.upstream),
            upstream_stats: None,
            served_peak: None,
            lab: ProcessUsage::new(Some(std::process::id())),
            host_cpu: HostCpu::default(),
            kubelet: None,
            steps: Vec::new(),
            is_stepped: false,
            upstream_open_peak: None,
        }));
        let failure = Arc::new(Mutex::new(None));
        let (events, received) = channel();
        let timeline = Timeline::create(
            &setup.folder.join("timeline.csv"),
            &setup.endpoints,
            &setup.classes,
        )?;
        let log = setup.folder.join("latency.hlog");
        let worker = Worker {
            interval: Recorder::new(setup.timeout_us),
            interval_streams: StreamRecorder::default(),
            interval_requests: RequestInterval::new(setup.classes.len()),
            pending: Vec::new(),
            next_flush: setup.segments.origin() + INTERVAL,
            interval_started: Duration::ZERO,
            finished: false,
            recorded: Arc::clone(&recorded),
            setup,
            received,
            timeline,
        };
        let reported = Arc::clone(&failure);
        let thread = std::thread::Builder::new()
            .name("collector".into())
            .spawn(move || worker.run(&log, &reported))?;
        Ok(Self {
            events,
            recorded,
            failure,
            thread: Some(thread),
        })
    }

    /// Where events go.
    #[must_use]
    pub fn sender(&self) -> Sender<Event> {
        self.events.clone()
    }

    /// What was recorded so far.
    pub fn recorded(&self) -> MutexGuard<'_, Recorded> {
        lock(&self.recorded)
    }

    /// What was recorded so far, for a reader with a life of its own.
    #[must_use]
    pub fn shared(&self) -> Arc<Mutex<Recorded>> {
        Arc::clone(&self.recorded)
    }

    /// The error that ended the logging, if one did. Recording goes on all the same.
    #[must_use]
    pub fn failure(&self) -> Option<std::io::Error> {
        lock(&self.failure).take()
    }

    /// Logs what is left and ends the thread.
    pub fn finish(&mut self) {
        let _ = self.events.send(Event::Finish);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.finish();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Worker {
    setup: Setup,
    received: Receiver<Event>,
    recorded: Arc<Mutex<Recorded>>,
    timeline: Timeline,
    interval: Recorder,
    interval_streams: StreamRecorder,
    interval_requests: RequestInterval,
    interval_started: Duration,
    next_flush: Instant,
    pending: Vec<Interval>,
    finished: bool,
}

impl Worker {
    fn run(mut self, log: &Path, failure: &Mutex<Option<std::io::Error>>) {
        let mut error = None;
        let result = interval_log::write(log, || self.next(&mut error));
        if let Some(error) = result.err().or(error) {
            *lock(failure) = Some(error);
        }
        // With nowhere to log, what comes is still recorded.
        while !self.finished {
            match self.received.recv() {
                Ok(event) => self.record(event),
                Err(_) => return,
            }
        }
    }

    /// The next interval to log; waits until there is one. `None` at the end, or if the timeline
    /// cannot be written.
    fn next(&mut self, error: &mut Option<std::io::Error>) -> Option<Interval> {
        loop {
            if let Some(interval) = self.pending.pop() {
                return Some(interval);
            }
            if self.finished {
                return None;
            }
            let left = self.next_flush.saturating_duration_since(Instant::now());
            match self.received.recv_timeout(left) {
                Ok(event) if !left.is_zero() => self.record(event),
                Ok(event) => {
                    self.record(event);
                    *error = self.flush().err();
                }
                Err(RecvTimeoutError::Timeout) => *error = self.flush().err(),
                Err(RecvTimeoutError::Disconnected) => self.finished = true,
            }
            if self.finished {
                *error = self.flush().err();
            }
            if error.is_some() {
                return None;
            }
        }
    }

    fn record(&mut self, event: Event) {
        let mut guard = lock(&self.recorded);
        let recorded = &mut *guard;
        match event {
            Event::Tick(tick) => {
                let part = self.setup.segments.at(tick.due_us);
                self.interval.record(&tick, part);
                recorded.recorder.record(&tick, part);
                recorded.ticks.push(tick);
            }
            Event::StepBegins => recorded.begin_step(),
            Event::StreamStarted(start) => recorded.streams.started(start),
            Event::Head { ttfb_us } => recorded.streams.head(ttfb_us),
            Event::FirstChunk { stream, ttft_us } => {
                self.interval_streams.first_chunk(stream, ttft_us);
                recorded.streams.first_chunk(stream, ttft_us);
            }
            Event::Gap { gap_us } => {
                self.interval_streams.gap(gap_us);
                recorded.streams.gap(gap_us);
            }
            Event::StreamEnded(record) => {
                self.interval_streams.ended(&record);
                recorded.streams.ended(&record);
            }
            Event::StreamNotSent => recorded.streams.not_sent(),
            Event::RequestStarted {
                class,
                due_us,
                late_us,
            } => {
                if let Some(class) = recorded.requests.get_mut(class) {
                    class.started(due_us, late_us);
                }
            }
            Event::RequestEnded(request) => {
                self.interval_requests.record(&request);
                if let Some(class) = recorded.requests.get_mut(request.class) {
                    class.ended(request);
                }
            }
            Event::HangUp(event) => recorded.hang_ups.add(event),
            Event::Resources(resources) => {
                let now = self.setup.segments.now_us();
                let in_hold = self.setup.segments.at(now).segment == Segment::Hold;
                for (usage, sample) in [
                    (&mut recorded.server, resources.server),
                    (&mut recorded.upstream, resources.upstream),
                    (&mut recorded.lab, resources.lab),
                ] {
                    if let Some(sample) = sample {
                        usage.add(now, sample, in_hold);
                    }
                }
                recorded.host_cpu.add(resources.host, in_hold);
            }
            Event::Gauges { pid, at_us, gauges } => {
                let segment = self.setup.segments.at(at_us).segment;
                let under_load = matches!(segment, Segment::Ramp | Segment::Hold | Segment::Tail);
                let in_hold = segment == Segment::Hold;
                recorded.gauges.add(at_us, pid, gauges, in_hold, under_load);
            }
            Event::Upstream { at_us, stats } => {
                let segment = self.setup.segments.at(at_us).segment;
                if segment < Segment::Recovery {
                    recorded.served_peak = Some(stats.open_peak);
                }
                if (Segment::Ramp..Segment::Recovery).contains(&segment) {
                    recorded.upstream_open_peak = recorded.upstream_open_peak.max(Some(stats.open));
                }
                recorded.upstream_stats = Some(stats);
            }
            Event::Kubelet(event) => recorded.kubelet.get_or_insert_default().add(event),
            Event::Finish => self.finished = true,
        }
    }

    /// Closes the interval: a row of the timeline now, its histograms as `pending`.
    fn flush(&mut self) -> std::io::Result<()> {
        let now = self.setup.segments.origin().elapsed();
        let start = self.interval_started;
        let length = now.saturating_sub(start);
        let interval = std::mem::replace(&mut self.interval, Recorder::new(self.setup.timeout_us));
        let streams = std::mem::take(&mut self.interval_streams);
        let requests = std::mem::replace(
            &mut self.interval_requests,
            RequestInterval::new(self.setup.classes.len()),
        );
        let part = self.setup.segments.at(us(now));
        self.timeline
            .row(now, part, &interval, &requests, &lock(&self.recorded))?;
        let mut add = |tag: String, histogram: &hdrhistogram::Histogram<u64>| {
            if !histogram.is_empty() {
                self.pending.push(Interval {
                    tag,
                    start,
                    length,
                    histogram: histogram.clone(),
                });
            }
        };
        add("load.streams.ttft".into(), streams.ttft());
        add("load.streams.gap".into(), streams.gaps());
        for (name, (all, ok)) in self.setup.classes.iter().zip(requests.classes()) {
            add(format!("load.requests.{name}.all"), all);
            add(format!("load.requests.{name}.ok"), ok);
        }
        for (part, endpoint, series) in interval.all() {
            let name = format!("{part}.{}", self.setup.endpoints[endpoint]);
            add(format!("{name}.all"), &series.response);
            add(format!("{name}.ok"), &series.response_ok);
            add(format!("{name}.service"), &series.service);
        }
        self.interval_started = now;
        while self.next_flush <= Instant::now() {
            self.next_flush += INTERVAL;
        }
        Ok(())
    }
}
