//! A slow, honest LLM service: it streams at a pace that is planned beforehand, fails on purpose
//! when asked to, and keeps a ledger of every stream, which is the ground truth for whoever measures
//! what stands in front of it.

mod answering;
mod call;
/// The clock of the ledger.
pub mod clock;
/// The flags.
pub mod config;
/// Randomness that does not depend on the order of arrival.
pub mod dice;
/// How long something takes.
pub mod distribution;
pub mod fault;
pub mod gate;
/// Times, counted by their length.
pub mod histogram;
pub mod ledger;
/// What is decided of an answer before it begins.
pub mod plan;
mod refusal;
mod routes;
/// When each token is due.
pub mod schedule;
/// What can be changed while the service runs.
pub mod settings;
/// What an answer looks like in time and size.
pub mod shape;
pub mod socket;
/// What the service says of itself.
pub mod stats;
pub mod stream;
pub mod wire;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Map, Value};
use service::Drain;

use call::Names;
use config::Config;
use fault::Faults;
use gate::Gate;
use histogram::Times;
use ledger::Ledger;
use settings::Settings;
use shape::BadParameter;
use socket::Listener;
use stats::Stats;

/// The service, apart from its sockets. Clones share everything.
#[derive(Clone, Debug)]
pub struct Mock {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    settings: RwLock<Arc<Settings>>,
    gate: Arc<Gate>,
    faults: Faults,
    ledger: Arc<Ledger>,
    /// How late tokens left, against their schedule: the mock's own confession. A run in which it was
    /// the bottleneck shows here, and not only in what its clients saw.
    lateness: Arc<Times>,
    connections: Arc<AtomicUsize>,
    names: Names,
}

/// Serves until the drain is over.
///
/// # Errors
/// If the listener fails for good.
///
/// # Cancel safety
/// As [`Mock::serve`].
pub async fn run(listener: Listener, config: Config, drain: Drain) -> io::Result<()> {
    let mock = Mock::new(config, &listener);
    mock.serve(listener, drain).await
}

impl Mock {
    /// The service on a listener, which it does not serve yet.
    #[must_use]
    pub fn new(config: Config, listener: &Listener) -> Self {
        let settings = config.settings();
        Self {
            inner: Arc::new(Inner {
                gate: Gate::new(settings.limits),
                settings: RwLock::new(Arc::new(settings)),
                faults: Faults::default(),
                ledger: Ledger::new(config.history),
                lateness: Arc::default(),
                connections: listener.open_connections(),
                names: Names::new(config.seed),
                config,
            }),
        }
    }

    /// Serves HTTP/1.1 and HTTP/2 (with prior knowledge) until the drain is over: from its beginning no connection is accepted, live streams go
    /// on, and what is left when its time is up is cut.
    ///
    /// # Errors
    /// If the listener fails for good.
    ///
    /// # Cancel safety
    /// Dropping the future closes the listener; connections already accepted go on until their runtime
    /// ends.
    pub async fn serve(&self, listener: Listener, drain: Drain) -> io::Result<()> {
        let begun = drain.clone();
        let streams = self.inner.config.max_http2_streams;
        let stop = async move { begun.begun().await };
        tokio::select! {
            () = socket::serve(listener, routes::router(self), streams, stop) => Ok(()),
            () = drain.expired() => {
                let left = self.inner.connections.load(Ordering::Relaxed);
                tracing::warn!(left, "the drain's time is over; the connections that are left are cut");
                Ok(())
            }
        }
    }

    /// The settings now, all of one piece.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        let settings = self.inner.settings.read();
        Arc::clone(&settings.unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes some of the settings at once, or none of them: a request has either all the old ones or
    /// all the new ones. Streams that have begun keep theirs; the limits are those of the service, and
    /// hold for all from now on.
    ///
    /// # Errors
    /// The key that is unknown, or whose value cannot be read or does not go with the others.
    pub fn change(&self, changes: &Map<String, Value>) -> Result<Arc<Settings>, BadParameter> {
        let settings = self.inner.settings.write();
        let mut settings = settings.unwrap_or_else(PoisonError::into_inner);
        *settings = Arc::new(settings.with(changes)?);
        // Within the lock, so that two changes at once end with the limits of the later one.
        self.inner.gate.set_limits(settings.limits);
        Ok(Arc::clone(&settings))
    }

    /// What `GET /stats` says.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            tally: self.inner.ledger.tally(),
            lateness_us: self.inner.lateness.summary(),
            queue_us: self.inner.gate.waits().summary(),
            faults: self.inner.faults.tally(),
            connections: self.inner.connections.load(Ordering::Relaxed) as u64,
            seed: self.inner.config.seed,
        }
    }

    /// The ledger of its streams.
    #[must_use]
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.inner.ledger
    }

    fn lateness(&self) -> &Arc<Times> {
        &self.inner.lateness
    }

    fn gate(&self) -> &Arc<Gate> {
        &self.inner.gate
    }

    fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    fn config(&self) -> &Config {
        &self.inner.config
    }

    fn names(&self) -> &Names {
        &self.inner.names
    }

    fn seed(&self) -> u64 {
        self.inner.config.seed
    }
}
