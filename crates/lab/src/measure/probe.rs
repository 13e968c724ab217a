use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use reqwest::header::{CONNECTION, HeaderMap};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use verdict::redact::Address;

use super::metronome::Metronome;
use super::priority::prefer_this_thread;
use super::{CellClock, Results, is_local};
use verdict::record::{Event, InFlight, Outcome, Plan, Tick};

/// One address that the probe asks.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Name in tables and in the summary.
    pub name: String,
    /// Whole URL.
    pub url: Address,
    /// Sent with each check; values may be secrets.
    pub headers: HeaderMap,
}

/// How a [`Prober`] asks.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Checks a second, of each endpoint.
    pub rate: f64,
    /// A check without an answer has failed so long after it was due.
    pub timeout: Duration,
    /// Whether checks use kept connections instead of a fresh one each.
    pub keep_alive: bool,
    /// Whether the service is not the lab's own. Then few checks of an endpoint are in flight at once
    /// ([`InFlight`]), and further ones are withheld. A check that has timed out keeps its place until it is
    /// answered or given up.
    pub is_guest: bool,
}

/// An open-loop probe with an OS thread and a runtime of its own, so that the saturation of the load
/// generator cannot pass for the server's.
///
/// Each check is a task of its own, on a fresh connection as a kubelet makes one, or with
/// `keep_alive` on one of a pool.
#[derive(Debug)]
pub struct Prober {
    plan: Plan,
    metronome: Option<Metronome>,
    end: watch::Sender<End>,
    thread: Option<JoinHandle<()>>,
}

/// How far the probe's end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    NotYet,
    /// No further check is sent, and nothing is waited for that has its outcome.
    WithOutcomes,
    Now,
}

struct Checks {
    client: reqwest::Client,
    endpoints: Vec<Endpoint>,
    manner: Manner,
    /// Of a guest.
    in_flight: Option<Mutex<InFlight>>,
    clock: CellClock,
    results: Results,
}

impl Prober {
    /// Starts to ask every endpoint by `client`, from the origin of `clock` on, and sends each outcome to `results`.
    ///
    /// # Errors
    /// If a thread cannot be made.
    pub fn start(
        client: reqwest::Client,
        endpoints: Vec<Endpoint>,
        manner: Manner,
        clock: CellClock,
        results: Results,
    ) -> anyhow::Result<Self> {
        let plan = Plan::new(manner.rate, endpoints.len());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the probe's runtime")?;
        let origin = clock.origin();
        let asked = Arc::new(Checks {
            in_flight: manner
                .is_guest
                .then(|| Mutex::new(InFlight::new(endpoints.len()))),
            client,
            endpoints,
            manner,
            clock,
            results,
        });
        let (beats, mut due) = mpsc::unbounded_channel();
        let (end, end_seen) = watch::channel(End::NotYet);
        let thread = std::thread::Builder::new()
            .name("probe".into())
            .spawn(move || {
                prefer_this_thread();
                runtime.block_on(async move {
                    let mut checks = JoinSet::new();
                    while let Some((n, due_us)) = due.recv().await {
                        let endpoint = plan.endpoint(n);
                        if asked.may_send(endpoint, due_us) {
                            let asked = Arc::clone(&asked);
                            checks.spawn(check(asked, endpoint, due_us, end_seen.clone()));
                        }
                        while checks.try_join_next().is_some() {}
                    }
                    while checks.join_next().await.is_some() {}
                });
            })?;
        let metronome = Metronome::start(plan, origin, move |n, due_us| {
            // The receiver outlives the metronome.
            let _ = beats.send((n, due_us));
        })?;
        Ok(Self {
            plan,
            metronome: Some(metronome),
            end,
            thread: Some(thread),
        })
    }

    /// The plan, to count what was due.
    #[must_use]
    pub fn plan(&self) -> Plan {
        self.plan
    }

    /// Sends no check that is due at `at_us` or later; those in flight go on. Returns the end of the
    /// plan: every check that is due before it was sent, and none that is due at it or later.
    pub fn stop_at(&mut self, at_us: u64) -> u64 {
        let end_us = match self.metronome.take() {
            Some(metronome) => metronome.stop(at_us),
            None => at_us,
        };
        self.end_as(End::WithOutcomes);
        end_us
    }

    /// Ends the checks in flight: they count as aborted.
    pub fn cut(&self) {
        self.end_as(End::Now);
    }

    fn end_as(&self, end: End) {
        self.end.send_modify(|now| *now = end.max(*now));
    }

    /// Whether every check has its outcome; only after [`Prober::stop_at`].
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.metronome = None;
        self.cut();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Checks {
    /// Whether a check may be sent. If not, it is withheld, and that is its outcome.
    fn may_send(&self, endpoint: usize, due_us: u64) -> bool {
        let Some(in_flight) = &self.in_flight else {
            return true;
        };
        let mut in_flight = in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        let Err(oldest_us) = in_flight.begin(endpoint, due_us) else {
            return true;
        };
        self.results.tell(Event::Tick(Tick {
            endpoint,
            due_us,
            sent_us: oldest_us,
            done_us: self.clock.now_us(),
            outcome: Outcome::Withheld,
            status: None,
        }));
        false
    }
}

async fn check(checks: Arc<Checks>, endpoint: usize, due_us: u64, mut end: watch::Receiver<End>) {
    let timeout = checks.manner.timeout;
    let sent = Instant::now();
    let due = checks.clock.origin() + Duration::from_micros(due_us);
    let asked = &checks.endpoints[endpoint];
    let mut request = checks
        .client
        .get(&*asked.url)
        .headers(asked.headers.clone());
    if !checks.manner.keep_alive {
        request = request.header(CONNECTION, "close");
    }
    let mut answer = pin!(async {
        let mut status = None;
        (ask(request, &mut status).await, status)
    });
    let (outcome, status) = tokio::select! {
        answered = &mut answer => answered,
        () = tokio::time::sleep_until((due + timeout).into()) => (Outcome::Timeout, None),
        _ = end.wait_for(|end| *end == End::Now) => (Outcome::Aborted, None),
    };
    let done = Instant::now();
    let tick = Tick {
        endpoint,
        due_us,
        sent_us: checks.clock.us(sent),
        done_us: checks.clock.us(done),
        outcome: in_time(outcome, done, due + timeout),
        status,
    };
    checks.results.tell(Event::Tick(tick));
    let Some(in_flight) = &checks.in_flight else {
        return;
    };
    if outcome == Outcome::Timeout {
        let given_up = due + InFlight::TIMEOUTS * timeout;
        tokio::select! {
            _ = answer => {}
            () = tokio::time::sleep_until(given_up.into()) => {}
            _ = end.wait_for(|end| *end > End::NotYet) => {}
        }
    }
    let mut in_flight = in_flight.lock().unwrap_or_else(PoisonError::into_inner);
    in_flight.end(endpoint, due_us);
}

/// An answer that was there at the timeout but read after it came too late all the same.
#[must_use]
pub fn in_time(outcome: Outcome, done: Instant, by: Instant) -> Outcome {
    match outcome {
        Outcome::Ok if done > by => Outcome::Timeout,
        outcome => outcome,
    }
}

/// Asks once and counts as a kubelet does: success is a status from 200 to 399 and a whole answer.
/// `status` is set when the head of the answer is there.
///
/// # Cancel safety
/// Safe: dropping the future closes the connection or gives it back.
pub async fn ask(request: reqwest::RequestBuilder, status: &mut Option<u16>) -> Outcome {
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
