//! Gauges on an OS thread and a port of their own. They answer while the app's event loop is blocked.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use axum::Router;
use tokio::sync::oneshot;

use crate::panic_message::panic_message;

/// The pause before a chore that panicked begins anew.
const CHORE_PAUSE: Duration = Duration::from_secs(1);

/// A server on its own OS thread with its own single-threaded runtime.
///
/// A handler that blocks the app's loop cannot delay it. A handler in `router` that blocks can.
///
/// It stops when dropped: open connections are closed, and the port is free afterwards. Dropping waits
/// for the thread, which first ends the handler that it is in.
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
        Self::spawn_beside(listener, router, std::future::pending::<()>)
    }

    /// As [`spawn`](Self::spawn), with a chore that runs on the same thread. If the chore panics, that is
    /// logged and it begins anew.
    pub(crate) fn spawn_beside<C>(
        listener: TcpListener,
        router: Router,
        chore: impl Fn() -> C + Send + 'static,
    ) -> io::Result<Self>
    where
        C: Future<Output = ()> + Send + 'static,
    {
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
                    tokio::spawn(keep_up(chore));
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

/// Runs the chore again after a panic. Otherwise a panic would end it unnoticed while the gauges go on.
async fn keep_up<C>(chore: impl Fn() -> C + Send + 'static)
where
    C: Future<Output = ()> + Send + 'static,
{
    while let Err(error) = tokio::spawn(chore()).await {
        let Ok(panic) = error.try_into_panic() else {
            return; // The runtime ends.
        };
        let error = panic_message(panic.as_ref());
        tracing::error!(error, "the watchdog's chore panicked and begins anew");
        tokio::time::sleep(CHORE_PAUSE).await;
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A handler of its own router may drop the last handle. A thread cannot join itself.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_chore_that_panics_begins_anew() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (begun, beginnings) = mpsc::channel();
        let chore = move || {
            let begun = begun.clone();
            async move {
                begun.send(()).unwrap();
                panic!("on purpose");
            }
        };
        let _watchdog = Watchdog::spawn_beside(listener, Router::new(), chore).unwrap();
        for _ in 0..2 {
            let began = beginnings.recv_timeout(20 * CHORE_PAUSE);
            began.expect("it goes on");
        }
    }
}
