mod body;

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use reqwest::header::{CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::load_thread::LoadThread;
use crate::measure::{Segments, is_local};
pub use body::json_body;
use verdict::load::requests::RequestRecord;
use verdict::record::{Event, Outcome};
use verdict::scenario::{Arrivals, Method, Requests};
use verdict::units::us;

/// A load of one class of requests, on an OS thread and a runtime of its own: large bodies of one
/// class must not delay the sending of another.
#[derive(Debug)]
pub struct RequestLoad {
    thread: LoadThread,
}

struct Shared {
    class: usize,
    spec: Requests,
    client: reqwest::Client,
    url: reqwest::Url,
    headers: HeaderMap,
    body: Option<Bytes>,
    seed: u64,
    segments: Segments,
    ended: watch::Receiver<bool>,
    results: Sender<Event>,
}

impl RequestLoad {
    /// Starts to send at `start` on the cell's clock; what becomes of each request goes to `results`,
    /// under the class's position.
    ///
    /// # Errors
    /// If the thread or the client cannot be made, or a header is none.
    pub fn start(
        class: usize,
        spec: &Requests,
        base: &str,
        seed: u64,
        start: Duration,
        segments: &Segments,
        results: Sender<Event>,
    ) -> anyhow::Result<Self> {
        let start = segments.origin() + start;
        let thread = LoadThread::start(|ended| {
            let shared = Arc::new(Shared {
                class,
                client: crate::http::client(spec.keep_alive)
                    .context("cannot make the load's HTTP client")?,
                url: format!("{base}{}", spec.target())
                    .parse()
                    .with_context(|| format!("`{}` is not a path", spec.target()))?,
                headers: headers(spec)?,
                body: spec.body_bytes.map(|size| json_body(size, spec.body_kind)),
                spec: spec.clone(),
                seed,
                segments: segments.clone(),
                ended,
                results,
            });
            Ok(async move {
                match shared.spec.arrivals() {
                    Arrivals::Rate(rate) => open_loop(&shared, start, rate).await,
                    Arrivals::Users(users) => closed_loop(&shared, start, users).await,
                }
            })
        })?;
        Ok(Self { thread })
    }

    /// Sends nothing more, gives up what is in flight, and waits until all of it is reported.
    pub fn end(&mut self) {
        self.thread.end();
    }
}

fn headers(spec: &Requests) -> anyhow::Result<HeaderMap> {
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
async fn open_loop(shared: &Arc<Shared>, start: Instant, rate: f64) {
    let mut ended = shared.ended.clone();
    let mut requests = JoinSet::new();
    for n in 0_u64.. {
        let due = start + Duration::from_secs_f64(n as f64 / rate);
        tokio::select! {
            biased;
            _ = ended.wait_for(|ended| *ended) => break,
            () = tokio::time::sleep_until(due.into()) => {}
        }
        let shared = Arc::clone(shared);
        requests.spawn(async move {
            request(&shared, due).await;
        });
        while requests.try_join_next().is_some() {}
    }
    while requests.join_next().await.is_some() {}
}

/// Each user sends, waits, thinks, and sends again; not at once if it was refused.
async fn closed_loop(shared: &Arc<Shared>, start: Instant, users: u32) {
    let mut all = JoinSet::new();
    for user in 0..users {
        let shared = Arc::clone(shared);
        let first = start + shared.spec.user_starts(user);
        all.spawn(async move {
            let mut ended = shared.ended.clone();
            let mut due = first;
            for n in 0_u64.. {
                tokio::select! {
                    biased;
                    _ = ended.wait_for(|ended| *ended) => return,
                    () = tokio::time::sleep_until(due.into()) => {}
                }
                let (done, outcome) = request(&shared, due).await;
                let took = done.saturating_duration_since(due);
                due = done + shared.spec.pause(shared.seed, (user, n), took, outcome);
            }
        });
    }
    while all.join_next().await.is_some() {}
}

/// One request, from when it was due to its outcome; returns when that was known, and what it is.
async fn request(shared: &Shared, due: Instant) -> (Instant, Outcome) {
    let class = shared.class;
    let due_us = shared.segments.us(due);
    let sent = Instant::now();
    // Without a collector there is nobody to report to.
    let _ = shared.results.send(Event::RequestStarted {
        class,
        due_us,
        late_us: us(sent.saturating_duration_since(due)),
    });
    let mut ended = shared.ended.clone();
    let mut status = None;
    let outcome = tokio::select! {
        outcome = ask(shared, &mut status) => outcome,
        () = tokio::time::sleep_until((due + shared.spec.timeout).into()) => Outcome::Timeout,
        _ = ended.wait_for(|ended| *ended) => Outcome::Unanswered,
    };
    let done = Instant::now();
    // An answer that was there at the timeout but read after it came too late all the same.
    let outcome = if outcome == Outcome::Ok && done > due + shared.spec.timeout {
        Outcome::Timeout
    } else {
        outcome
    };
    let _ = shared.results.send(Event::RequestEnded(RequestRecord {
        class,
        due_us,
        sent_us: shared.segments.us(sent),
        done_us: shared.segments.us(done),
        outcome,
        status,
    }));
    (done, outcome)
}

async fn ask(shared: &Shared, status: &mut Option<u16>) -> Outcome {
    let url = shared.url.clone();
    let request = match shared.spec.method {
        Method::Get => shared.client.get(url),
        Method::Post => shared.client.post(url),
        Method::Put => shared.client.put(url),
        Method::Patch => shared.client.patch(url),
        Method::Delete => shared.client.delete(url),
    };
    let mut request = request.headers(shared.headers.clone());
    if let Some(body) = &shared.body {
        request = request.body(body.clone());
    }
    match request.send().await {
        Ok(answer) => {
            let code = answer.status().as_u16();
            *status = Some(code);
            match answer.bytes().await {
                Ok(_) if (200..400).contains(&code) => Outcome::Ok,
                Ok(_) => Outcome::BadStatus,
                Err(_) => Outcome::Aborted,
            }
        }
        Err(error) if is_local(&error) => Outcome::NotSent,
        Err(error) if error.is_connect() => Outcome::ConnectFailure,
        Err(_) => Outcome::Aborted,
    }
}
