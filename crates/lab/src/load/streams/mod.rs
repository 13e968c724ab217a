mod frames;
mod pace;
mod plan;
mod progress;

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use reqwest::header::CONTENT_TYPE;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::load_thread::LoadThread;
use crate::measure::{Segments, is_local};
use frames::Frames;
pub use pace::Pace;
pub use plan::{StreamPlan, StreamRequest};
use progress::Progress;
use verdict::load::streams::{StreamEnding, StreamStart};
use verdict::record::Event;
use verdict::units::us;

/// A load of streams, each a task on a connection of its own. The plan says when each is due; none
/// waits for another. In slots the next one is due when the one before has ended.
#[derive(Debug)]
pub struct StreamLoad {
    thread: LoadThread,
}

struct Shared {
    plan: StreamPlan,
    segments: Segments,
    results: Sender<Event>,
}

impl StreamLoad {
    /// Starts the first stream at `start` and the others evenly spread, on an OS thread and a runtime
    /// of their own; what happens to them goes to `results`.
    ///
    /// # Errors
    /// If the thread cannot be made.
    pub fn start(
        plan: StreamPlan,
        start: Instant,
        segments: &Segments,
        results: Sender<Event>,
    ) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            plan,
            segments: segments.clone(),
            results,
        });
        let thread = LoadThread::start(|ended| {
            Ok(async move {
                let mut streams = JoinSet::new();
                let mut due = start;
                for n in shared.plan.numbers.clone() {
                    streams.spawn(run(Arc::clone(&shared), n, due, ended.clone()));
                    due += shared.plan.spacing;
                }
                while streams.join_next().await.is_some() {}
            })
        })?;
        Ok(Self { thread })
    }

    /// Hangs up on every stream that is open and waits until each has reported how it ended.
    pub fn end(&mut self) {
        self.thread.end();
    }
}

/// A slot whose stream was refused waits so long before it asks again.
const AFTER_REFUSAL: Duration = Duration::from_millis(250);

/// One stream, or in a slot one after the other.
async fn run(shared: Arc<Shared>, n: u64, due: Instant, ended: watch::Receiver<bool>) {
    let Some(pace) = &shared.plan.slots else {
        stream(&shared, n, due, ended).await;
        return;
    };
    let mut ready = due;
    loop {
        let (number, due) = pace.turn(ready);
        let Some(ending) = stream(&shared, number, due, ended.clone()).await else {
            return;
        };
        if *ended.borrow() {
            return;
        }
        ready = Instant::now();
        if ending == StreamEnding::Refused {
            ready += AFTER_REFUSAL;
        }
    }
}

/// One stream, from when it is due to its end; `None` if the load ended before it was due.
async fn stream(
    shared: &Shared,
    n: u64,
    due: Instant,
    mut ended: watch::Receiver<bool>,
) -> Option<StreamEnding> {
    tokio::select! {
        biased;
        _ = ended.wait_for(|ended| *ended) => return None,
        () = tokio::time::sleep_until(due.into()) => {}
    }
    // Without a collector there is nobody to report to; so for every event below.
    let _ = shared.results.send(Event::StreamStarted(StreamStart {
        stream: n,
        due_us: shared.segments.us(due),
        late_us: us(due.elapsed()),
    }));
    let mut progress = Progress::new(n, due, shared.plan.reading);
    let ending = tokio::select! {
        ending = read(shared, n, &mut progress) => ending,
        _ = ended.wait_for(|ended| *ended) => None,
    };
    let ending = ending.unwrap_or_else(|| progress.ending_when_cut(shared.plan.stall_after));
    let mut record = progress.record(ending, shared.segments.now_us());
    if let (None, Some(assignment)) = (record.status, &shared.plan.assignment) {
        // Nothing has answered, so nothing has named its cohort; left out, only the lucky streams of a
        // cohort would have a TTFT.
        let k = n - shared.plan.numbers.start;
        record.cohort = Some(assignment.cohort(k).to_owned());
    }
    let _ = shared.results.send(Event::StreamEnded(record));
    Some(ending)
}

/// Reads one stream to its end and says how it ended.
async fn read(shared: &Shared, n: u64, progress: &mut Progress) -> Option<StreamEnding> {
    let plan = &shared.plan;
    let answer = match plan
        .request
        .build(&plan.client, n, n - plan.numbers.start)
        .send()
        .await
    {
        Ok(answer) => answer,
        Err(error) => {
            if is_local(&error) {
                let _ = shared.results.send(Event::StreamNotSent);
            }
            return Some(StreamEnding::Refused);
        }
    };
    progress.status = Some(answer.status().as_u16());
    let header = |name: &str| Some(answer.headers().get(name)?.to_str().ok()?.to_owned());
    progress.cohort = plan.cohort_header.as_deref().and_then(header);
    if !answer.status().is_success() {
        return Some(StreamEnding::Refused);
    }
    let mut frames = Frames::of(header(CONTENT_TYPE.as_str()).as_deref(), plan.reading);
    let mut answer = answer;
    let ttfb_us = us(progress.due.elapsed());
    let _ = shared.results.send(Event::Head { ttfb_us });
    loop {
        let bytes = answer.chunk().await;
        let now = Instant::now();
        let mut see = |chunk| {
            if let Some(event) = progress.see(chunk, now) {
                let _ = shared.results.send(event);
            }
        };
        match bytes {
            Ok(Some(bytes)) => frames.feed(&bytes, see),
            Ok(None) => {
                frames.finish(&mut see);
                return Some(progress.ending_at_eof());
            }
            Err(_) if progress.is_done() => return Some(StreamEnding::Complete),
            Err(_) => return Some(StreamEnding::Truncated),
        }
    }
}
