use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use verdict::load::requests::RequestInterval;
use verdict::load::streams::StreamRecorder;
use verdict::record::{Event, Recorded, RecordedPids, Recorder};
use verdict::units::us;

use super::interval_log::{self, Interval};
use super::timeline::Timeline;
use super::{LivePid, Segments};

/// Length of an interval of the log.
const INTERVAL: Duration = Duration::from_secs(1);

/// The process numbers to whom [`Resources`] belong.
#[derive(Clone, Debug)]
pub struct Pids {
    /// The server under test, which a kubelet may restart.
    pub server: LivePid,
    /// The upstream, if it is the lab's own.
    pub upstream: Option<u32>,
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
        let recorded = Arc::new(Mutex::new(Recorded::new(
            setup.timeout_us,
            setup.classes.len(),
            RecordedPids {
                server: setup.pids.server.get(),
                upstream: setup.pids.upstream,
                lab: std::process::id(),
            },
        )));
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
        let segments = &self.setup.segments;
        let now_us = segments.now_us();
        let seen_us = match &event {
            Event::Tick(tick) => tick.due_us,
            Event::Gauges { at_us, .. } | Event::Upstream { at_us, .. } => *at_us,
            _ => now_us,
        };
        let part = segments.at(seen_us);
        match &event {
            Event::Tick(tick) => self.interval.record(tick, part),
            Event::FirstChunk { stream, ttft_us } => {
                self.interval_streams.first_chunk(*stream, *ttft_us);
            }
            Event::Gap { gap_us } => self.interval_streams.gap(*gap_us),
            Event::StreamEnded(record) => self.interval_streams.ended(record),
            Event::RequestEnded(request) => self.interval_requests.record(request),
            Event::Finish => self.finished = true,
            _ => {}
        }
        lock(&self.recorded).record(event, part, now_us);
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
