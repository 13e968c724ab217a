use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Map, Value};

use crate::config::Config;
use crate::fault::Faults;
use crate::gate::Gate;
use crate::histogram::Times;
use crate::ledger::Ledger;
use crate::request_names::RequestNames;
use crate::settings::Settings;
use crate::shape::BadParameter;
use crate::socket::Listener;
use crate::stats::Stats;

/// The service, apart from its sockets. Clones share everything.
#[derive(Clone, Debug)]
pub struct Mock {
    inner: Arc<MockState>,
}

#[derive(Debug)]
struct MockState {
    config: Config,
    settings: RwLock<Arc<Settings>>,
    gate: Arc<Gate>,
    faults: Faults,
    ledger: Arc<Ledger>,
    /// How late tokens left, against their schedule. If the mock itself was the bottleneck of a run, it
    /// shows here, and not only in what its clients saw.
    lateness: Arc<Times>,
    connections: Arc<AtomicUsize>,
    names: RequestNames,
}

impl Mock {
    /// The service on a listener, which it does not serve yet.
    #[must_use]
    pub fn new(config: Config, listener: &Listener) -> Self {
        let settings = config.settings();
        Self {
            inner: Arc::new(MockState {
                gate: Gate::new(settings.limits),
                settings: RwLock::new(Arc::new(settings)),
                faults: Faults::default(),
                ledger: Ledger::new(config.history),
                lateness: Arc::default(),
                connections: listener.open_connections(),
                names: RequestNames::new(config.seed),
                config,
            }),
        }
    }

    /// The settings now, all of the same moment.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        let settings = self.inner.settings.read();
        Arc::clone(&settings.unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes some of the settings at once, or none of them: a request gets either all the old ones or
    /// all the new ones. Streams that have begun keep theirs. The limits are those of the service, and
    /// hold for all streams from now on.
    ///
    /// # Errors
    /// The key that is unknown, or whose value cannot be read or does not go with the others.
    pub fn change(&self, changes: &Map<String, Value>) -> Result<Arc<Settings>, BadParameter> {
        let settings = self.inner.settings.write();
        let mut settings = settings.unwrap_or_else(PoisonError::into_inner);
        *settings = Arc::new(settings.with(changes)?);
        // Under the lock, so that after two changes at once the limits are those of the later one.
        self.inner.gate.set_limits(settings.limits);
        Ok(Arc::clone(&settings))
    }

    /// The answer to `GET /stats`.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            tally: self.inner.ledger.tally(),
            lateness_us: self.inner.lateness.summary(),
            queue_us: self.inner.gate.waits().summary(),
            faults: self.inner.faults.tally(),
            connections: self.open_connections() as u64,
            seed: self.inner.config.seed,
        }
    }

    /// The ledger of its streams.
    #[must_use]
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.inner.ledger
    }

    pub(crate) fn open_connections(&self) -> usize {
        self.inner.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn lateness(&self) -> &Arc<Times> {
        &self.inner.lateness
    }

    pub(crate) fn gate(&self) -> &Arc<Gate> {
        &self.inner.gate
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    pub(crate) fn config(&self) -> &Config {
        &self.inner.config
    }

    pub(crate) fn names(&self) -> &RequestNames {
        &self.inner.names
    }

    pub(crate) fn seed(&self) -> u64 {
        self.inner.config.seed
    }
}
