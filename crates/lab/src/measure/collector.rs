use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use verdict::load::Load;
use verdict::record::{Event, Interval, Recorded, RecordedPids, timeline};
use verdict::units::us;

use super::interval_log::{self, Entry};
use super::timeline::Timeline;
use super::{CellClock, Pids, Results};

/// Length of an interval of the log.
const INTERVAL: Duration = Duration::from_secs(1);

/// Records events on an OS thread of its own and logs every second what came.
#[derive(Debug)]
pub struct Collector {
    results: Results,
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
    /// What is asked of the server.
    pub load: Load,
    /// Timeout of a check.
    pub timeout_us: u64,
    /// The cell's clock.
    pub clock: CellClock,
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
            setup.endpoints.len(),
            &setup.load,
            RecordedPids {
                server: setup.pids.server.get(),
                upstream: setup.pids.upstream,
                lab: std::process::id(),
            },
        )));
        let failure = Arc::new(Mutex::new(None));
        let (results, received) = Results::new();
        let interval = Interval::new(setup.timeout_us, &setup.load);
        let start = (Duration::ZERO, setup.clock.times().at(0));
        let first = timeline::row(
            start,
            &setup.endpoints,
            &setup.load,
            &interval,
            &lock(&recorded),
        );
        let timeline = Timeline::create(&setup.folder.join("timeline.csv"), &first)?;
        let log = setup.folder.join("latency.hlog");
        let work = CollectorThread {
            interval,
            pending: Vec::new(),
            next_flush: setup.clock.origin() + INTERVAL,
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
            .spawn(move || work.run(&log, &reported))?;
        Ok(Self {
            results,
            recorded,
            failure,
            thread: Some(thread),
        })
    }

    /// Where events go.
    #[must_use]
    pub fn results(&self) -> &Results {
        &self.results
    }

    /// What was recorded so far.
    pub fn recorded(&self) -> MutexGuard<'_, Recorded> {
        lock(&self.recorded)
    }

    /// The error that ended the logging, if one did. Recording goes on all the same.
    #[must_use]
    pub fn failure(&self) -> Option<std::io::Error> {
        lock(&self.failure).take()
    }

    /// Logs what is left and ends the thread.
    pub fn finish(&mut self) {
        self.results.tell(Event::Finish);
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

struct CollectorThread {
    setup: Setup,
    received: Receiver<Event>,
    recorded: Arc<Mutex<Recorded>>,
    timeline: Timeline,
    interval: Interval,
    interval_started: Duration,
    next_flush: Instant,
    pending: Vec<Entry>,
    finished: bool,
}

impl CollectorThread {
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
    fn next(&mut self, error: &mut Option<std::io::Error>) -> Option<Entry> {
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
        let when = self.setup.clock.when(&event);
        self.interval.record(&event, when.part);
        self.finished |= matches!(event, Event::Finish);
        lock(&self.recorded).record(event, when);
    }

    /// Closes the interval: a row of the timeline now, its histograms as `pending`.
    fn flush(&mut self) -> std::io::Result<()> {
        let setup = &self.setup;
        let now = setup.clock.origin().elapsed();
        let start = self.interval_started;
        let empty = Interval::new(setup.timeout_us, &setup.load);
        let interval = std::mem::replace(&mut self.interval, empty);
        let end = (now, setup.clock.times().at(us(now)));
        let row = timeline::row(
            end,
            &setup.endpoints,
            &setup.load,
            &interval,
            &lock(&self.recorded),
        );
        self.timeline.row(&row)?;
        let all = interval.tagged(&setup.endpoints, &setup.load).into_iter();
        let entries = all.filter(|(_, times)| !times.is_empty());
        self.pending.extend(entries.map(|(tag, times)| Entry {
            tag,
            start,
            length: now.saturating_sub(start),
            times: times.clone(),
        }));
        self.interval_started = now;
        while self.next_flush <= Instant::now() {
            self.next_flush += INTERVAL;
        }
        Ok(())
    }
}
