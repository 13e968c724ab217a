//! Clients that hang up on the server, each at a stage that it has verifiably reached.

mod client;
mod exchange;
mod row;
mod witness;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::exchange::Exchange;
use self::row::Row;
use self::witness::Witness;
use super::load_thread::LoadThread;
use crate::measure::{Segments, unix_us};
use verdict::load::hang_ups::{HangUp, HangUpEnding, HangUpEvent, ROW_ID};
use verdict::record::Event;
use verdict::scenario::{HangUpStage, HangUps, Leave, Method};

/// How often a request is tried whose answer is over before its client can leave.
const ATTEMPTS: u32 = 10;

/// A load of clients that hang up, on an OS thread and a runtime of its own.
#[derive(Debug)]
pub struct HangUpLoad {
    thread: LoadThread,
    /// The sockets of clients that have vanished: closed with this value, after the thread.
    _vanished: Vanished,
}

type Vanished = Arc<Mutex<Vec<TcpStream>>>;

struct Shared {
    spec: HangUps,
    server: SocketAddr,
    /// What is sent, by stage.
    requests: BTreeMap<HangUpStage, Request<Full<Bytes>>>,
    witness: Witness,
    row: Mutex<Row>,
    vanished: Vanished,
    segments: Segments,
    ended: watch::Receiver<bool>,
    results: Sender<Event>,
}

impl HangUpLoad {
    /// Warms up at once and starts the row at `start` on the cell's clock; what becomes of each
    /// request goes to `results`. The ledgers of `upstreams` are the witnesses of who reached them.
    ///
    /// # Errors
    /// If the thread or a client cannot be made, `base` is no address, or the path no path.
    pub fn start(
        spec: &HangUps,
        base: &str,
        upstreams: Vec<String>,
        start: Duration,
        segments: &Segments,
        results: Sender<Event>,
    ) -> anyhow::Result<Self> {
        let url: reqwest::Url = base
            .parse()
            .with_context(|| format!("`{base}` is no URL"))?;
        let server = url
            .socket_addrs(|| None)
            .ok()
            .and_then(|addresses| addresses.first().copied())
            .with_context(|| format!("`{base}` is no address"))?;
        let vanished = Vanished::default();
        let start = segments.origin() + start;
        let thread = LoadThread::start(|ended| {
            let shared = Arc::new(Shared {
                server,
                requests: requests(spec, server)?,
                witness: Witness::new(upstreams)
                    .context("cannot make the witness's HTTP client")?,
                row: Mutex::new(Row::new(spec.count.into(), spec.after_hanging.into())),
                vanished: Arc::clone(&vanished),
                segments: segments.clone(),
                ended,
                results,
                spec: spec.clone(),
            });
            Ok(run(shared, start))
        })?;
        Ok(Self {
            thread,
            _vanished: vanished,
        })
    }

    /// Sends nothing more, gives up what is under way, and waits until all of it is reported. Clients
    /// that have vanished stay so.
    pub fn end(&mut self) {
        self.thread.end();
    }
}

/// The request for each stage, but for its id.
fn requests(
    spec: &HangUps,
    server: SocketAddr,
) -> anyhow::Result<BTreeMap<HangUpStage, Request<Full<Bytes>>>> {
    let body = body(spec);
    let method = spec.method.name();
    let request = |stage| {
        let mut request = Request::builder()
            .method(method)
            .uri(&spec.path)
            .header(HOST, server.to_string())
            // So that nothing of an exchange that came to its end is kept on purpose.
            .header(CONNECTION, "close");
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        for (name, value) in spec.headers(stage) {
            request = request.header(name, value);
        }
        let request = request
            .body(Full::new(body.clone()))
            .with_context(|| format!("`{}` or a header is none", spec.path))?;
        Ok((stage, request))
    };
    HangUpStage::ALL.into_iter().map(request).collect()
}

/// A chat request of the size that is asked for, which any OpenAI API understands.
fn body(spec: &HangUps) -> Bytes {
    if spec.method == Method::Get && spec.body_bytes.is_none() {
        return Bytes::new();
    }
    let chat = |content: &str| {
        format!(
            r#"{{"model":"any","stream":true,"messages":[{{"role":"user","content":"{content}"}}]}}"#
        )
    };
    let size = usize::try_from(spec.body_bytes.unwrap_or(0)).unwrap_or(usize::MAX);
    chat(&"x".repeat(size.saturating_sub(chat("").len()))).into()
}

async fn run(shared: Arc<Shared>, start: Instant) {
    let mut warm_up = JoinSet::new();
    for n in 0..shared.spec.warm_up {
        let shared = Arc::clone(&shared);
        warm_up.spawn(async move {
            let exchange = Exchange::new(&shared, HangUpStage::Complete, format!("warm-up-{n}"));
            exchange.run().await;
        });
    }
    while warm_up.join_next().await.is_some() {}
    shared.tell(HangUpEvent::WarmedUp);
    let mut ended = shared.ended.clone();
    tokio::select! {
        biased;
        _ = ended.wait_for(|ended| *ended) => return,
        () = tokio::time::sleep_until(start.into()) => {}
    }
    let mut workers = JoinSet::new();
    for _ in 0..shared.spec.concurrency {
        workers.spawn(work(Arc::clone(&shared)));
    }
    while workers.join_next().await.is_some() {}
    if !*ended.borrow() {
        shared.tell(HangUpEvent::Over);
    }
}

/// Sends one request after the other until the row is over.
async fn work(shared: Arc<Shared>) {
    while !*shared.ended.borrow() {
        let next = lock(&shared.row).next();
        let Some(number) = next else {
            return;
        };
        shared.tell(HangUpEvent::Started);
        let one = request(&shared, number).await;
        if one.ending == HangUpEnding::Hanging {
            lock(&shared.row).hangs();
        }
        shared.tell(HangUpEvent::Ended(one));
    }
}

/// One request of the row: again, if its answer was over before its client could leave.
async fn request(shared: &Shared, number: u64) -> HangUp {
    let stage = shared.spec.stage(number);
    let mut attempt = 1;
    loop {
        let id = match attempt {
            1 => format!("{ROW_ID}{number}"),
            _ => format!("{ROW_ID}{number}-{attempt}"),
        };
        let due = Instant::now();
        let mut exchange = Exchange::new(shared, stage, id);
        let ending = exchange.run_until_ended().await;
        if ending == HangUpEnding::Missed && attempt < ATTEMPTS {
            attempt += 1;
            shared.tell(HangUpEvent::TriedAgain);
            continue;
        }
        // The clocks are read right before the socket is closed.
        let (left, left_unix_us) = (Instant::now(), unix_us());
        let leave = match ending {
            HangUpEnding::HungUp => shared.spec.leave,
            _ => Leave::Fin,
        };
        let seen = exchange.leave(leave);
        let on_clock = |instant| shared.segments.us(instant);
        return HangUp {
            number,
            id: seen.id,
            stage,
            reached: seen.reached,
            ending,
            status: seen.status,
            due_us: on_clock(due),
            sent_us: seen.sent.map(on_clock),
            head_us: seen.head.map(on_clock),
            left_us: on_clock(left),
            left_unix_us,
        };
    }
}

impl Shared {
    fn request(&self, stage: HangUpStage, id: &str) -> Request<Full<Bytes>> {
        let mut request = self.requests[&stage].clone();
        if let Ok(id) = HeaderValue::from_str(id) {
            request.headers_mut().insert("x-request-id", id);
        }
        request
    }

    fn tell(&self, event: HangUpEvent) {
        // Without a collector there is nobody to report to.
        let _ = self.results.send(Event::HangUp(event));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
