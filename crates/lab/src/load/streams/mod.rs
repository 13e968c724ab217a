mod back_off;
mod body;
mod frames;
mod pace;
mod plan;
mod progress;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::CONTENT_TYPE;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Start;
use super::load_thread::LoadThread;
use crate::measure::{CellClock, Results, is_local};
use back_off::{BackOff, has_quota, retry_after};
pub(crate) use body::Body;
pub(crate) use frames::Frames;
pub use pace::Pace;
pub use plan::{StreamPlan, StreamRequest};
use progress::StreamProgress;
use verdict::load::LoadEvent;
use verdict::load::streams::{StreamEnding, StreamEvent, StreamSpec, StreamStart};
use verdict::record::Event;
use verdict::units::us;

/// What the tasks of a load of streams have in common.
struct StreamTasks {
    plan: StreamPlan,
    clock: CellClock,
    results: Results,
}

impl StreamTasks {
    fn tell(&self, event: StreamEvent) {
        self.results.tell(Event::Load(LoadEvent::Streams(event)));
    }
}

/// Starts the streams of a scenario, each a task on a connection of its own. The plan says when each is
/// due; none waits for another.
///
/// # Errors
/// If the thread or the client cannot be made, or the URL or a header is none.
pub(super) fn start(spec: &StreamSpec, start: &Start) -> anyhow::Result<LoadThread> {
    let plan = StreamPlan::of(spec, &start.server, start.seed, start.first_stream)?;
    let first = start.clock.origin() + start.at;
    run_plan(plan, first, &start.clock, &start.results)
}

/// Slots, in each of which the next stream is due when the one before has ended. Dropping them hangs up
/// on every stream that is open and waits until each has reported how it ended.
#[derive(Debug)]
pub struct Slots {
    _thread: LoadThread,
}

impl Slots {
    /// Starts the first stream at `first` and the others evenly spread; what happens to them goes to
    /// `results`.
    ///
    /// # Errors
    /// If the thread cannot be made.
    pub fn start(
        plan: StreamPlan,
        first: Instant,
        clock: &CellClock,
        results: &Results,
    ) -> anyhow::Result<Self> {
        let _thread = run_plan(plan, first, clock, results)?;
        Ok(Self { _thread })
    }
}

fn run_plan(
    plan: StreamPlan,
    first: Instant,
    clock: &CellClock,
    results: &Results,
) -> anyhow::Result<LoadThread> {
    let tasks = Arc::new(StreamTasks {
        plan,
        clock: clock.clone(),
        results: results.clone(),
    });
    LoadThread::start("load", |ended| {
        Ok(async move {
            let mut streams = JoinSet::new();
            let mut due = first;
            for n in tasks.plan.numbers.clone() {
                streams.spawn(run(Arc::clone(&tasks), n, due, ended.clone()));
                due += tasks.plan.spacing;
            }
            while streams.join_next().await.is_some() {}
        })
    })
}

/// How a stream ended, and how long its answer asks to be left alone.
type Ended = (StreamEnding, Option<Duration>);

/// One stream, or in a slot one after the other.
async fn run(tasks: Arc<StreamTasks>, n: u64, due: Instant, mut ended: watch::Receiver<bool>) {
    let Some(pace) = &tasks.plan.slots else {
        stream(&tasks, n, due, ended).await;
        return;
    };
    let mut ready = due;
    let mut back_off = BackOff::default();
    loop {
        let (number, due) = pace.turn(ready);
        let Some((ending, asked_for)) = stream(&tasks, number, due, ended.clone()).await else {
            return;
        };
        if *ended.borrow() {
            return;
        }
        if ending == StreamEnding::Refused {
            // The turn is taken only afterwards, because turns are given in order of time.
            tokio::select! {
                _ = ended.wait_for(|ended| *ended) => return,
                () = tokio::time::sleep(back_off.after_refusal(asked_for)) => {}
            }
        } else {
            back_off = BackOff::default();
        }
        ready = Instant::now();
    }
}

/// One stream, from when it is due to its end; `None` if the load ended before it was due.
async fn stream(
    tasks: &StreamTasks,
    n: u64,
    due: Instant,
    mut ended: watch::Receiver<bool>,
) -> Option<Ended> {
    tokio::select! {
        biased;
        _ = ended.wait_for(|ended| *ended) => return None,
        () = tokio::time::sleep_until(due.into()) => {}
    }
    tasks.tell(StreamEvent::Started(StreamStart {
        stream: n,
        due_us: tasks.clock.us(due),
        late_us: us(due.elapsed()),
    }));
    let mut progress = StreamProgress::new(n, due, tasks.plan.reading);
    let ending = tokio::select! {
        ending = read(tasks, n, &mut progress) => ending,
        _ = ended.wait_for(|ended| *ended) => None,
    };
    let ending = ending.unwrap_or_else(|| progress.ending_when_cut(tasks.plan.stall_after));
    let mut record = progress.record(ending, tasks.clock.now_us());
    if let (None, Some(assignment)) = (record.status, &tasks.plan.assignment) {
        // Nothing has answered, so nothing has named its cohort; left out, only the lucky streams of a
        // cohort would have a TTFT.
        let k = n - tasks.plan.numbers.start;
        record.cohort = Some(assignment.cohort(k).to_owned());
    }
    tasks.tell(StreamEvent::Ended(record));
    Some((ending, progress.retry_after))
}

/// Reads one stream to its end and says how it ended.
async fn read(tasks: &StreamTasks, n: u64, progress: &mut StreamProgress) -> Option<StreamEnding> {
    let plan = &tasks.plan;
    let answer = match plan
        .request
        .build(&plan.client, n, n - plan.numbers.start)
        .send()
        .await
    {
        Ok(answer) => answer,
        Err(error) => {
            if is_local(&error) {
                tasks.tell(StreamEvent::NotSent);
            }
            return Some(StreamEnding::Refused);
        }
    };
    progress.status = Some(answer.status().as_u16());
    let header = |name: &str| Some(answer.headers().get(name)?.to_str().ok()?.to_owned());
    progress.cohort = plan.cohort_header.as_deref().and_then(header);
    if !answer.status().is_success() {
        progress.retry_after = retry_after(answer.headers(), SystemTime::now());
        if has_quota(answer.headers()) {
            tasks.tell(StreamEvent::Quota);
        }
        return Some(StreamEnding::Refused);
    }
    let mut frames = Frames::of(header(CONTENT_TYPE.as_str()).as_deref(), plan.reading);
    let mut body = Body::of(answer);
    let ttfb_us = us(progress.due.elapsed());
    tasks.tell(StreamEvent::Head { ttfb_us });
    loop {
        let bytes = body.next().await;
        let now = Instant::now();
        let mut see = |chunk| {
            if let Some(event) = progress.see(chunk, now) {
                tasks.tell(event);
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
