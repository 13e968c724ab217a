use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::Router;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Barrier;

use crate::serve::{accept, serve, until_expired};
use crate::{Drain, EnvironmentError, Listener, RuntimeKind, ServerArgs, on_signal};

/// The runtimes of a server, not yet driven by anyone: one multi-threaded, or one for each thread.
pub(crate) struct Runtimes {
    kind: RuntimeKind,
    all: Vec<Runtime>,
}

impl Runtimes {
    /// Builds what the flags ask for.
    pub(crate) fn new(args: &ServerArgs) -> Result<Self, EnvironmentError> {
        let build = |mut builder: Builder| {
            builder
                .enable_all()
                .max_blocking_threads(args.pool_threads as usize)
                .build()
        };
        let workers = args.worker_threads.map(|workers| workers as usize);
        let all = match args.runtime {
            RuntimeKind::MultiThread => {
                build(multi_thread(args, workers)).map(|runtime| vec![runtime])
            }
            RuntimeKind::SingleThreaded => (0..workers.unwrap_or(1))
                .map(|_| build(Builder::new_current_thread()))
                .collect(),
        };
        let kind = args.runtime;
        all.map(|all| Self { kind, all }).map_err(no_runtime)
    }

    /// Handles of all, of which there is at least one.
    pub(crate) fn handles(&self) -> Vec<Handle> {
        self.all
            .iter()
            .map(|runtime| runtime.handle().clone())
            .collect()
    }

    /// Serves on all of them until the drain, which a signal begins, is over.
    pub(crate) fn serve(mut self, listener: Listener, app: Router, drain: Drain) -> io::Result<()> {
        if self.kind == RuntimeKind::SingleThreaded {
            let listeners = listener.share(&self.handles())?;
            return serve_on_each(self.all, listeners, &app, &drain);
        }
        let runtime = self.all.remove(0);
        let result = runtime.block_on(async {
            begin_at_signal(drain.clone());
            serve(listener, app, drain).await
        });
        // Threads that still hold a stream cannot be told to stop.
        runtime.shutdown_timeout(Duration::from_millis(100));
        result
    }
}

fn multi_thread(args: &ServerArgs, workers: Option<usize>) -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.thread_name("runtime");
    if let Some(workers) = workers {
        builder.worker_threads(workers);
    }
    #[cfg(tokio_unstable)]
    if args.eager_driver_handoff {
        builder.enable_eager_driver_handoff();
    }
    #[cfg(not(tokio_unstable))]
    let _ = args;
    builder
}

/// Each runtime accepts for itself, on an OS thread of its own. The calling thread waits for the
/// signal and keeps the drain's time: a handler that blocks its runtime cannot put off the end.
fn serve_on_each(
    runtimes: Vec<Runtime>,
    listeners: Vec<Listener>,
    app: &Router,
    drain: &Drain,
) -> io::Result<()> {
    // No runtime ends before all are done: the blocking pool of the first serves every one.
    let all_done = Arc::new(Barrier::new(runtimes.len() + 1));
    let open = listeners[0].open_connections();
    for (index, (runtime, listener)) in runtimes.into_iter().zip(listeners).enumerate() {
        let (app, drain, all_done) = (app.clone(), drain.clone(), Arc::clone(&all_done));
        thread::Builder::new()
            .name(format!("runtime-{index}"))
            .spawn(move || {
                let served = runtime.block_on(async {
                    let served = accept(listener, app, drain).await;
                    all_done.wait().await;
                    served
                });
                if let Err(error) = served {
                    tracing::error!(%error, "a listener failed");
                }
                runtime.shutdown_background();
            })?;
    }
    let control = Builder::new_current_thread().enable_all().build()?;
    control.block_on(async {
        begin_at_signal(drain.clone());
        let served = async {
            all_done.wait().await;
            Ok(())
        };
        until_expired(served, drain, &open).await
    })
}

fn begin_at_signal(drain: Drain) {
    tokio::spawn(async move {
        if on_signal().await.is_ok() {
            tracing::info!("draining: no new connections, live streams may end");
            drain.begin();
        }
    });
}

fn no_runtime(error: io::Error) -> EnvironmentError {
    EnvironmentError(format!(
        "cannot start the runtime: {error}; raise `ulimit -u` or `ulimit -n`, or lower --worker-threads"
    ))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpStream;
    use std::sync::mpsc;
    use std::time::Instant;

    use axum::routing::get;

    use super::*;

    /// Longer than this test may take.
    const BLOCKED_FOR: Duration = Duration::from_secs(60);

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "blocks a runtime, to see that the drain does not wait for it"
    )]
    fn a_blocked_runtime_does_not_put_off_the_end_of_the_drain() {
        let runtimes: Vec<_> = (0..2)
            .map(|_| Builder::new_current_thread().enable_all().build().unwrap())
            .collect();
        let handles: Vec<_> = runtimes.iter().map(|one| one.handle().clone()).collect();
        let listener = {
            let _inside = handles[0].enter();
            Listener::bind("127.0.0.1:0".parse().unwrap(), "--listen").unwrap()
        };
        let address = listener.address().unwrap();
        let (blocked, is_blocked) = mpsc::channel();
        let block = move || {
            let _ = blocked.send(());
            thread::sleep(BLOCKED_FOR);
            std::future::ready(())
        };
        let app = Router::new().route("/block", get(block));
        let drain = Drain::new(Duration::from_millis(100));
        let listeners = listener.share(&handles).unwrap();
        let server = thread::spawn({
            let drain = drain.clone();
            move || serve_on_each(runtimes, listeners, &app, &drain)
        });
        let mut client = TcpStream::connect(address).unwrap();
        client
            .write_all(b"GET /block HTTP/1.1\r\nhost: test\r\n\r\n")
            .unwrap();
        is_blocked.recv().unwrap();
        let begun = Instant::now();
        drain.begin();
        server.join().unwrap().unwrap();
        assert!(begun.elapsed() < BLOCKED_FOR / 4, "{:?}", begun.elapsed());
    }
}
