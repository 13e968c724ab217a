//! A slow, honest LLM service: it streams at a pace that is planned beforehand, fails on purpose
//! when asked to, and keeps a ledger of every stream, which is the ground truth for whoever measures
//! what stands in front of it.

mod answering;
mod call;
/// The flags.
pub mod config;
/// Randomness that does not depend on the order of arrival.
pub mod dice;
/// How long something takes.
pub mod distribution;
/// Failures on purpose.
pub mod fault;
/// How late tokens leave.
pub mod lateness;
pub mod ledger;
mod refusal;
mod routes;
/// When each token is due.
pub mod schedule;
/// What an answer looks like in time and size.
pub mod shape;
/// What the service says of itself.
pub mod stats;
pub mod stream;
pub mod wire;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use service::{Drain, Listener};

use call::Names;
use config::Config;
use lateness::Lateness;
use ledger::Ledger;
use stats::Stats;

/// The service, apart from its sockets. Clones share everything.
#[derive(Clone, Debug)]
pub struct Mock {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    ledger: Arc<Ledger>,
    lateness: Arc<Lateness>,
    connections: Arc<AtomicUsize>,
    names: Names,
}

/// Serves until the drain is over.
///
/// # Errors
/// If the listener fails for good.
///
/// # Cancel safety
/// As [`service::serve`].
pub async fn run(listener: Listener, config: Config, drain: Drain) -> io::Result<()> {
    let mock = Mock::new(config, &listener);
    mock.serve(listener, drain).await
}

impl Mock {
    /// The service on a listener, which it does not serve yet.
    #[must_use]
    pub fn new(config: Config, listener: &Listener) -> Self {
        Self {
            inner: Arc::new(Inner {
                ledger: Ledger::new(config.history),
                lateness: Arc::default(),
                connections: listener.open_connections(),
                names: Names::new(config.seed),
                config,
            }),
        }
    }

    /// Serves until the drain is over.
    ///
    /// # Errors
    /// If the listener fails for good.
    ///
    /// # Cancel safety
    /// As [`service::serve`].
    pub async fn serve(&self, listener: Listener, drain: Drain) -> io::Result<()> {
        service::serve(listener, routes::router(self), drain).await
    }

    /// What `GET /stats` says.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            tally: self.inner.ledger.tally(),
            lateness_us: self.inner.lateness.summary(),
            connections: self.inner.connections.load(Ordering::Relaxed) as u64,
            seed: self.inner.config.seed,
        }
    }

    /// The ledger of its streams.
    #[must_use]
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.inner.ledger
    }

    fn lateness(&self) -> &Arc<Lateness> {
        &self.inner.lateness
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
