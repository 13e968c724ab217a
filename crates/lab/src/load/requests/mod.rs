mod body;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use reqwest::header::{CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Start;
use super::load_thread::LoadThread;
use crate::measure::{CellClock, Results, ask, in_time};
pub use body::json_body;
use verdict::load::LoadEvent;
use verdict::load::requests::{Arrivals, RequestEvent, RequestSpec};
use verdict::record::{Event, Outcome, Tick};
use verdict::units::us;

/// What the tasks of one class of requests have in common.
struct RequestTasks {
    class: usize,
    spec: RequestSpec,
    client: reqwest::Client,
    method: reqwest::Method,
    url: reqwest::Url,
    headers: HeaderMap,
    body: Option<Bytes>,
    seed: u64,
    clock: CellClock,
    ended: watch::Receiver<bool>,
    results: Results,
}

impl RequestTasks {
    fn tell(&self, event: RequestEvent) {
        self.results.tell(Event::Load(LoadEvent::Requests(event)));
    }
}

/// Starts a load of one class of requests, reported under the class's position. It has a thread of its
/// own: large bodies of one class must not delay the sending of another.
///
/// # Errors
/// If the thread or the client cannot be made, or a header is none.
pub(super) fn start(class: usize, spec: &RequestSpec, start: &Start) -> anyhow::Result<LoadThread> {
    let first = start.clock.origin() + start.at;
    LoadThread::start("load", |ended| {
        let path = spec.target();
        let tasks = Arc::new(RequestTasks {
            class,
            client: crate::http::client(spec.keep_alive)
                .context("cannot make the load's HTTP client")?,
            method: spec.method.name().parse().context("not a method")?,
            url: format!("{}{path}", start.server)
                .parse()
                .with_context(|| format!("`{path}` is not a path"))?,
            headers: headers(spec)?,
            body: spec.body_bytes.map(|size| json_body(size, spec.body_kind)),
            spec: spec.clone(),
            seed: start.seed,
            clock: start.clock.clone(),
            ended,
            results: start.results.clone(),
        });
        Ok(async move {
            match tasks.spec.arrivals() {
                Arrivals::Rate(rate) => open_loop(&tasks, first, rate).await,
                Arrivals::Users(users) => closed_loop(&tasks, first, users).await,
            }
        })
    })
}

fn headers(spec: &RequestSpec) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in &spec.headers {
        let name: HeaderName = name
            .parse()
            .with_context(|| format!("`{name}` is not the name of a header"))?;
        let value: HeaderValue = value
            .parse()
            .with_context(|| format!("`{value}` is not the value of a header"))?;
        headers.insert(name, value);
    }
    if spec.body_bytes.is_some() && !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if !spec.keep_alive {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(headers)
}

/// Request *n* is due at *n*/rate, whatever became of those before it.
async fn open_loop(tasks: &Arc<RequestTasks>, start: Instant, rate: f64) {
    let mut ended = tasks.ended.clone();
    let mut requests = JoinSet::new();
    for n in 0_u64.. {
        let due = start + Duration::from_secs_f64(n as f64 / rate);
        tokio::select! {
            biased;
            _ = ended.wait_for(|ended| *ended) => break,
            () = tokio::time::sleep_until(due.into()) => {}
        }
        let tasks = Arc::clone(tasks);
        requests.spawn(async move {
            request(&tasks, due).await;
        });
        while requests.try_join_next().is_some() {}
    }
    while requests.join_next().await.is_some() {}
}

/// Each user sends, waits, thinks, and sends again; not at once if it was refused.
async fn closed_loop(tasks: &Arc<RequestTasks>, start: Instant, users: u32) {
    let mut all = JoinSet::new();
    for user in 0..users {
        let tasks = Arc::clone(tasks);
        let first = start + tasks.spec.user_starts(user);
        all.spawn(async move {
            let mut ended = tasks.ended.clone();
            let mut due = first;
            for n in 0_u64.. {
                tokio::select! {
                    biased;
                    _ = ended.wait_for(|ended| *ended) => return,
                    () = tokio::time::sleep_until(due.into()) => {}
                }
                let (done, outcome) = request(&tasks, due).await;
                let took = done.saturating_duration_since(due);
                due = done + tasks.spec.pause(tasks.seed, (user, n), took, outcome);
            }
        });
    }
    while all.join_next().await.is_some() {}
}

/// One request, from when it was due to its outcome; returns when that was known, and what it is.
async fn request(tasks: &RequestTasks, due: Instant) -> (Instant, Outcome) {
    let class = tasks.class;
    let due_us = tasks.clock.us(due);
    let sent = Instant::now();
    tasks.tell(RequestEvent::Started {
        class,
        due_us,
        late_us: us(sent.saturating_duration_since(due)),
    });
    let mut ended = tasks.ended.clone();
    let mut status = None;
    let outcome = tokio::select! {
        outcome = ask_once(tasks, &mut status) => outcome,
        () = tokio::time::sleep_until((due + tasks.spec.timeout).into()) => Outcome::Timeout,
        _ = ended.wait_for(|ended| *ended) => Outcome::Unanswered,
    };
    let done = Instant::now();
    let outcome = in_time(outcome, done, due + tasks.spec.timeout);
    let tick = Tick {
        endpoint: class,
        due_us,
        sent_us: tasks.clock.us(sent),
        done_us: tasks.clock.us(done),
        outcome,
        status,
    };
    tasks.tell(RequestEvent::Ended(tick));
    (done, outcome)
}

async fn ask_once(tasks: &RequestTasks, status: &mut Option<u16>) -> Outcome {
    let request = tasks
        .client
        .request(tasks.method.clone(), tasks.url.clone());
    let mut request = request.headers(tasks.headers.clone());
    if let Some(body) = &tasks.body {
        request = request.body(body.clone());
    }
    ask(request, status).await
}
