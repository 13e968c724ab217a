//! An app on a runtime of its own, so that a test can block it.

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use axum::Router;
pub use testkit::eventually;
use testkit::{Request, ask};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use vitals::{BlockingPool, PoolSnapshot, Vitals};

/// More than a busy machine needs for anything that should take no time.
pub const SOON: Duration = Duration::from_secs(5);

/// The pool size of every app here.
pub const THREADS: usize = 4;

/// Long enough that a busy machine does not miss it by accident.
pub const CANARY_TIMEOUT: Duration = Duration::from_millis(800);

/// A served app; its runtime ends when this is dropped.
pub struct App {
    pub addr: SocketAddr,
    pub vitals: Vitals,
    pub runtime: Handle,
    _stop: oneshot::Sender<()>,
}

impl App {
    /// Serves what `routes` makes, on a single-threaded runtime in a thread of its own.
    pub fn spawn(routes: impl FnOnce(&Vitals) -> Router + Send + 'static) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, started) = mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .max_blocking_threads(THREADS)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let vitals =
                    Vitals::new(BlockingPool::new(THREADS)).with_canary_timeout(CANARY_TIMEOUT);
                let router = vitals.routes().merge(routes(&vitals));
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                ready
                    .send((listener.local_addr().unwrap(), vitals, Handle::current()))
                    .unwrap();
                tokio::select! {
                    _ = axum::serve(listener, router).into_future() => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        let (addr, vitals, runtime) = started.recv().unwrap();
        Self {
            addr,
            vitals,
            runtime,
            _stop: stop,
        }
    }

    pub fn idle() -> Self {
        Self::spawn(|_| Router::new())
    }

    pub fn pool(&self) -> PoolSnapshot {
        self.vitals.snapshot().pool
    }

    /// Occupies the pool with `jobs` jobs that hold their thread until the holder is dropped.
    pub async fn hold(&self, jobs: usize) -> Holder {
        let mut release = Vec::new();
        for _ in 0..jobs {
            let (sender, released) = mpsc::channel::<()>();
            release.push(sender);
            drop(self.vitals.pool().spawn(move || {
                let _ = released.recv();
            }));
        }
        let busy = jobs.min(THREADS);
        eventually("jobs started", async || self.pool().busy == busy).await;
        Holder(release)
    }
}

/// Lets its jobs go when dropped.
pub struct Holder(#[expect(dead_code, reason = "held for its drop")] Vec<mpsc::Sender<()>>);

pub fn loopback() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// Status and body.
pub async fn get(addr: SocketAddr, path: &str) -> (u16, String) {
    let answer = ask(addr, Request::get(path)).await;
    (answer.status, answer.body)
}
