//! Looks up the names of upstreams on threads of its own.
//!
//! reqwest's own resolver calls `getaddrinfo` on the runtime's blocking pool. If that pool is full, which
//! is what a relay is there to cure, every new connection would wait behind the pool's work until the
//! connect timeout.

mod book;

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

pub(crate) use book::LookupError;
use book::{LookupOutcome, NameBook, NameReply, PendingLookup, Question, in_turn};

/// Most threads that look up names. As many names with dead name servers hold up all others.
const THREADS: usize = 4;

/// The only one of the process, because a name means the same to every relay. Its threads are started
/// when names are looked up, and stay.
static RESOLVER: LazyLock<Resolver> = LazyLock::new(|| Resolver::new(getaddrinfo));

type LookUp = fn(&str) -> io::Result<Vec<SocketAddr>>;

/// A handle to the process's resolver. A name that several callers ask for at once is looked up once. Its
/// addresses are kept for 30 seconds, or until a connection to all of them has failed.
#[derive(Clone, Debug)]
pub(crate) struct Resolver(Arc<LookupThreads>);

#[derive(Debug)]
struct LookupThreads {
    look_up: LookUp,
    state: Mutex<LookupState>,
    work: Condvar,
}

#[derive(Debug, Default)]
struct LookupState {
    book: NameBook,
    threads: usize,
    idle: usize,
}

impl Resolver {
    /// The one of this process.
    pub(crate) fn shared() -> Self {
        RESOLVER.clone()
    }

    fn new(look_up: LookUp) -> Self {
        Self(Arc::new(LookupThreads {
            look_up,
            state: Mutex::default(),
            work: Condvar::new(),
        }))
    }

    /// Drops the addresses of `name`, because none could be connected to.
    pub(crate) fn forget(&self, name: &str) {
        self.0.lock().book.forget(name);
    }

    /// # Cancel safety
    /// Dropping the future leaves the lookup to run, for the next caller.
    async fn addresses(&self, name: &str) -> Result<Vec<SocketAddr>, LookupError> {
        let mut answer = match self.0.ask(name) {
            Ok(Known(addresses)) => return Ok(addresses),
            Ok(Wait(answer)) => answer,
            Err(error) => return Err(error),
        };
        let gone = || LookupError::Failed {
            name: name.to_owned(),
            reason: "its thread is gone".to_owned(),
        };
        let outcome = answer.wait_for(Option::is_some).await;
        let outcome = outcome.map_err(|_| gone())?.clone();
        outcome
            .unwrap_or_else(|| Err(gone()))
            .map(|addresses| in_turn(&addresses, 0))
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses = resolver.addresses(name.as_str()).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

enum Found {
    Known(Vec<SocketAddr>),
    Wait(PendingLookup),
}

use Found::{Known, Wait};

impl LookupThreads {
    /// Queues the name, if need be, and starts a thread if none is free for it.
    fn ask(self: &Arc<Self>, name: &str) -> Result<Found, LookupError> {
        let mut state = self.lock();
        let answer = match state.book.ask(name, Instant::now()) {
            NameReply::Known(addresses) => return Ok(Known(addresses)),
            NameReply::UnderWay(answer) => return Ok(Wait(answer)),
            NameReply::Queued(answer) => answer,
            NameReply::Full => {
                let name = name.to_owned();
                return Err(LookupError::QueueFull { name });
            }
        };
        if state.book.queued() <= state.idle || state.threads == THREADS {
            self.work.notify_one();
            return Ok(Wait(answer));
        }
        match self.start_thread() {
            Ok(()) => state.threads += 1,
            // Without a single thread, nobody would ever look the name up.
            Err(error) if state.threads == 0 => {
                let error = LookupError::NoThread {
                    name: name.to_owned(),
                    reason: error.to_string(),
                };
                if let Some(question) = state.book.withdraw(name) {
                    let outcome = Err(error.clone());
                    state.book.settle(question, outcome, Instant::now());
                }
                return Err(error);
            }
            Err(error) => {
                let threads = state.threads;
                tracing::warn!(%error, threads, "no further thread to look up names");
            }
        }
        Ok(Wait(answer))
    }

    fn start_thread(self: &Arc<Self>) -> io::Result<()> {
        let shared = Arc::clone(self);
        thread::Builder::new()
            .name("relay-resolver".to_owned())
            .spawn(move || shared.work())
            .map(drop)
    }

    fn work(&self) {
        loop {
            let question = self.next();
            let outcome = self.look_up(&question.name);
            let mut state = self.lock();
            state.book.settle(question, outcome, Instant::now());
        }
    }

    fn next(&self) -> Question {
        let mut state = self.lock();
        loop {
            if let Some(question) = state.book.take() {
                return question;
            }
            state.idle += 1;
            state = self
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    fn look_up(&self, name: &str) -> LookupOutcome {
        let found = (self.look_up)(name).map_err(|error| LookupError::Failed {
            name: name.to_owned(),
            reason: error.to_string(),
        })?;
        if found.is_empty() {
            let name = name.to_owned();
            return Err(LookupError::NoAddress { name });
        }
        Ok(found.into())
    }

    fn lock(&self) -> MutexGuard<'_, LookupState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks up by the system's configuration: hosts files, search domains, its name servers.
fn getaddrinfo(name: &str) -> io::Result<Vec<SocketAddr>> {
    Ok((name, 0).to_socket_addrs()?.collect())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    /// For the tests that ask for it, one at a time each.
    static LOOKUPS: AtomicUsize = AtomicUsize::new(0);

    fn counted(_: &str) -> io::Result<Vec<SocketAddr>> {
        LOOKUPS.fetch_add(1, Ordering::SeqCst);
        #[expect(clippy::disallowed_methods, reason = "as slow as a name server")]
        thread::sleep(std::time::Duration::from_millis(200));
        Ok(vec!["192.0.2.1:0".parse().unwrap()])
    }

    #[tokio::test]
    async fn a_hundred_who_ask_at_once_make_one_lookup_and_those_after_them_none() {
        let resolver = Resolver::new(counted);
        let asking = (0..100).map(|_| resolver.addresses("upstream.example"));
        for found in join_all(asking).await {
            assert_eq!(found.unwrap().len(), 1);
        }
        resolver.addresses("upstream.example").await.unwrap();
        assert_eq!(LOOKUPS.load(Ordering::SeqCst), 1);
        resolver.forget("upstream.example");
        resolver.addresses("upstream.example").await.unwrap();
        assert_eq!(LOOKUPS.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn as_many_names_as_there_are_threads_are_looked_up_at_once() {
        static NOW: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let resolver = Resolver::new(|_| {
            let now = NOW.fetch_add(1, Ordering::SeqCst) + 1;
            MOST.fetch_max(now, Ordering::SeqCst);
            #[expect(clippy::disallowed_methods, reason = "as slow as a name server")]
            thread::sleep(std::time::Duration::from_millis(50));
            NOW.fetch_sub(1, Ordering::SeqCst);
            Err(io::Error::other("no such name"))
        });
        let names: Vec<_> = (0..3 * THREADS).map(|name| name.to_string()).collect();
        for found in join_all(names.iter().map(|name| resolver.addresses(name))).await {
            let error = found.unwrap_err().to_string();
            assert!(error.ends_with("failed: no such name"), "{error}");
        }
        let most = MOST.load(Ordering::SeqCst);
        assert!((2..=THREADS).contains(&most), "{most} at once");
    }

    #[tokio::test]
    async fn the_systems_names_are_known() {
        let found = Resolver::shared().addresses("localhost").await.unwrap();
        assert!(found.iter().all(|one| one.ip().is_loopback()), "{found:?}");
        let no_name = Resolver::shared().addresses("a\0b").await;
        assert!(
            matches!(no_name, Err(LookupError::Failed { .. })),
            "{no_name:?}"
        );
    }
}
