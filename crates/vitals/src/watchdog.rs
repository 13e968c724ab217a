//! Gauges that answer while the app's event loop is blocked: an OS thread and a port of their own.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};

use axum::Router;
use tokio::sync::oneshot;

/// A server on its own OS thread with its own single-threaded runtime.
///
/// A handler that blocks the app's loop cannot delay it; one that blocks in `router` can.
///
/// Stops when dropped: open connections are closed, the port is free afterwards. Dropping waits for
/// the thread, which takes as long as the handler it is in.
#[derive(Debug)]
pub struct Watchdog {
    addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Serves `router` on `listener`.
    ///
    /// # Errors
    /// If the listener cannot be made non-blocking, or the thread or its runtime cannot be made.
    pub fn spawn(listener: TcpListener, router: Router) -> io::Result<Self> {
        Self::spawn_beside(listener, router, std::future::pending())
    }

    /// As [`spawn`](Self::spawn), with `chore` run on the same thread for as long as it serves.
    pub(crate) fn spawn_beside(
        listener: TcpListener,
        router: Router,
        chore: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new()
            .name("vitals-watchdog".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    tokio::spawn(chore);
                    // Not axum's graceful shutdown: that waits for idle keep-alive connections.
                    tokio::select! {
                        _ = axum::serve(listener, router).into_future() => {}
                        _ = stopped => {}
                    }
                });
                runtime.shutdown_background();
            })?;
        Ok(Self {
            addr,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A handler of its own router may hold the last handle; a thread cannot join itself.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}
