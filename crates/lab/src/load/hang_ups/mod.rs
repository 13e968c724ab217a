//! Clients that hang up on the server, each at a stage that it has verifiably reached.

mod client;
mod csv;
mod exchange;
mod ledger;
mod levels;
mod row;
mod tasks;
mod witness;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST};
use tokio::task::JoinSet;

use self::exchange::Exchange;
use self::row::HangUpRow;
use self::tasks::{HangUpTasks, Vanished, lock, tell};
use self::witness::Witness;
use super::load_thread::LoadThread;
use super::{Driven, Start};
use crate::measure::{Results, Sources};
use verdict::load::hang_ups::{
    HangUp, HangUpEnding, HangUpEvent, HangUpSpec, HangUpStage, Leave, ROW_ID,
};
use verdict::scenario::Method;

pub(super) use self::csv::write;
pub(super) use self::levels::LEVELS_TAKE;

/// How often a request is tried whose answer is over before its client can leave.
const ATTEMPTS: u32 = 10;

/// A load of clients that hang up, on an OS thread and a runtime of its own.
#[derive(Debug)]
pub(super) struct HangUpLoad {
    thread: LoadThread,
    /// The sockets of clients that have vanished: closed with this value, after the thread.
    _vanished: Vanished,
}

impl HangUpLoad {
    /// Warms up at once and starts the row when the load starts. The ledgers of the upstreams are the
    /// witnesses of who reached them.
    ///
    /// # Errors
    /// If the thread or a client cannot be made, the server has no address, or the path is no path.
    pub(super) fn start(spec: &HangUpSpec, start: &Start) -> anyhow::Result<Self> {
        let base = &start.server;
        let url: reqwest::Url = base
            .parse()
            .with_context(|| format!("`{base}` is no URL"))?;
        let server = url
            .socket_addrs(|| None)
            .ok()
            .and_then(|addresses| addresses.first().copied())
            .with_context(|| format!("`{base}` is no address"))?;
        let vanished = Vanished::default();
        let first = start.clock.origin() + start.at;
        let thread = LoadThread::start("load", |ended| {
            let row = HangUpRow::new(spec.count.into(), spec.after_hanging.into());
            let tasks = Arc::new(HangUpTasks {
                server,
                requests: requests(spec, server)?,
                witness: Witness::new(start.upstreams.clone())
                    .context("cannot make the witness's HTTP client")?,
                row: Mutex::new(row),
                vanished: Arc::clone(&vanished),
                clock: start.clock.clone(),
                ended,
                results: start.results.clone(),
                spec: spec.clone(),
            });
            Ok(run(tasks, first))
        })?;
        Ok(Self {
            thread,
            _vanished: vanished,
        })
    }
}

impl Driven for HangUpLoad {
    /// Sends nothing more, gives up what is under way, and waits until all of it is reported. Clients
    /// that have vanished stay so.
    fn end(&mut self) {
        self.thread.end();
    }
}

/// Reads what the server holds before the row. It counts only if nothing is warmed up any more.
pub(super) async fn look_before(sources: &Sources, results: &Results) {
    let levels = levels::read_levels(sources).await;
    tell(results, HangUpEvent::Before(levels));
}

/// Reads what the server holds after the row, and what the upstreams know of it.
pub(super) async fn look_after(sources: &Sources, results: &Results) {
    let levels = levels::read_levels(sources).await;
    let ledger = ledger::read_ledgers(&sources.client, &sources.upstreams()).await;
    tell(results, HangUpEvent::After(levels, ledger));
}

/// The request for each stage, but for its id.
fn requests(
    spec: &HangUpSpec,
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
fn body(spec: &HangUpSpec) -> Bytes {
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

async fn run(tasks: Arc<HangUpTasks>, start: Instant) {
    let mut warm_up = JoinSet::new();
    for n in 0..tasks.spec.warm_up {
        let tasks = Arc::clone(&tasks);
        warm_up.spawn(async move {
            let exchange = Exchange::new(&tasks, HangUpStage::Complete, format!("warm-up-{n}"));
            exchange.run().await;
        });
    }
    while warm_up.join_next().await.is_some() {}
    tasks.tell(HangUpEvent::WarmedUp);
    let mut ended = tasks.ended.clone();
    tokio::select! {
        biased;
        _ = ended.wait_for(|ended| *ended) => return,
        () = tokio::time::sleep_until(start.into()) => {}
    }
    let mut workers = JoinSet::new();
    for _ in 0..tasks.spec.concurrency {
        workers.spawn(work(Arc::clone(&tasks)));
    }
    while workers.join_next().await.is_some() {}
    if !*ended.borrow() {
        tasks.tell(HangUpEvent::Over);
    }
}

/// Sends one request after the other until the row is over.
async fn work(tasks: Arc<HangUpTasks>) {
    while !*tasks.ended.borrow() {
        let next = lock(&tasks.row).next();
        let Some(number) = next else {
            return;
        };
        tasks.tell(HangUpEvent::Started);
        let one = request(&tasks, number).await;
        if one.ending == HangUpEnding::Hanging {
            lock(&tasks.row).hangs();
        }
        tasks.tell(HangUpEvent::Ended(one));
    }
}

/// One request of the row: again, if its answer was over before its client could leave.
async fn request(tasks: &HangUpTasks, number: u64) -> HangUp {
    let stage = tasks.spec.stage(number);
    let mut attempt = 1;
    loop {
        let id = match attempt {
            1 => format!("{ROW_ID}{number}"),
            _ => format!("{ROW_ID}{number}-{attempt}"),
        };
        let due = Instant::now();
        let mut exchange = Exchange::new(tasks, stage, id);
        let ending = exchange.run_until_ended().await;
        if ending == HangUpEnding::Missed && attempt < ATTEMPTS {
            attempt += 1;
            tasks.tell(HangUpEvent::TriedAgain);
            continue;
        }
        // The clocks are read right before the socket is closed.
        let (left, left_unix_us) = (Instant::now(), ledger::unix_us());
        let leave = match ending {
            HangUpEnding::HungUp => tasks.spec.leave,
            _ => Leave::Fin,
        };
        let seen = exchange.leave(leave);
        let on_clock = |instant| tasks.clock.us(instant);
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
