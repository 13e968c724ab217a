use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::registry::Registry;
use serde::Serialize;
use serde_json::Value;
use vitals::{BlockingPool, Vitals};

use crate::{Drain, EnvironmentError, Listener, Peer, ServerArgs, announce, lifeline, on_signal};

/// What the failures of a server are built from.
pub struct Services {
    /// The flags.
    pub args: ServerArgs,
    /// The watched runtime; `vitals.pool()` is the blocking pool that the failures share.
    pub vitals: Vitals,
    registry: Registry,
    gauges: Vec<(&'static str, Gauge)>,
}

type Gauge = Arc<dyn Fn() -> Value + Send + Sync>;

impl Services {
    /// The registry behind `/metrics`.
    pub fn metrics(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// Adds what `read` returns to the watchdog's `/gauges`, under `name`.
    pub fn gauge<T: Serialize>(
        &mut self,
        name: &'static str,
        read: impl Fn() -> T + Send + Sync + 'static,
    ) {
        let read = move || serde_json::to_value(read()).unwrap_or_default();
        self.gauges.push((name, Arc::new(read)));
    }
}

/// Runs a server to its end: builds its runtime, announces its addresses, serves what `routes` builds
/// beside the health routes and the metrics, and drains on SIGTERM.
///
/// # Errors
/// [`EnvironmentError`] if an address or the runtime cannot be had; whatever `routes` returns.
pub fn run(
    args: ServerArgs,
    routes: impl FnOnce(&mut Services) -> anyhow::Result<Router>,
) -> anyhow::Result<()> {
    crate::init_log();
    lifeline::watch().context("cannot watch standard input")?;
    let runtime = runtime(&args)?;
    let result = runtime.block_on(serve_app(args, routes));
    // Threads that still hold a stream cannot be told to stop.
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

fn runtime(args: &ServerArgs) -> Result<tokio::runtime::Runtime, EnvironmentError> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .enable_all()
        .max_blocking_threads(args.pool_threads as usize)
        .thread_name("runtime");
    if let Some(workers) = args.worker_threads {
        builder.worker_threads(workers as usize);
    }
    builder.build().map_err(|error| {
        EnvironmentError(format!(
            "cannot start the runtime: {error}; raise `ulimit -u`, or lower --worker-threads"
        ))
    })
}

async fn serve_app(
    args: ServerArgs,
    routes: impl FnOnce(&mut Services) -> anyhow::Result<Router>,
) -> anyhow::Result<()> {
    let listener = Listener::bind(args.listen, "--listen")?.with_write_timeout(args.write_timeout);
    let watchdog = bind_watchdog(args.gauges)?;
    let drain = Drain::new(args.drain);
    let pool = BlockingPool::new(args.pool_threads as usize);
    let mut services = Services {
        vitals: Vitals::new(pool),
        registry: Registry::default(),
        gauges: Vec::new(),
        args,
    };
    let failures = routes(&mut services)?;
    let Services {
        vitals,
        mut registry,
        mut gauges,
        ..
    } = services;
    vitals.register(&mut registry);
    let registry = Arc::new(registry);
    let connections = listener.open_connections();
    gauges.push((
        "connections",
        Arc::new(move || {
            connections
                .load(std::sync::atomic::Ordering::Relaxed)
                .into()
        }),
    ));
    let app = failures
        .merge(vitals.health_routes())
        .merge(vitals::metrics_routes(Arc::clone(&registry)));
    let beside = Router::new()
        .route("/gauges", get(read_gauges))
        .with_state((vitals.clone(), Arc::new(gauges)))
        .merge(vitals::metrics_routes(registry));
    let address = listener
        .address()
        .context("cannot tell the listening address")?;
    let watchdog = vitals
        .watchdog(watchdog, beside)
        .context("cannot start the watchdog")?;
    announce("gauges", watchdog.addr());
    announce("listening", address);
    let on_term = drain.clone();
    tokio::spawn(async move {
        if on_signal().await.is_ok() {
            tracing::info!("draining: no new connections, live streams may end");
            on_term.begin();
        }
    });
    let served = serve(listener, app, drain)
        .await
        .context("the listener failed");
    drop(watchdog);
    served
}

fn bind_watchdog(address: SocketAddr) -> Result<TcpListener, EnvironmentError> {
    TcpListener::bind(address).map_err(|error| {
        EnvironmentError(format!(
            "cannot listen on {address}: {error}; choose another address with --gauges (port 0 picks a free port)"
        ))
    })
}

type Gauges = Arc<Vec<(&'static str, Gauge)>>;

/// Everything that can be read without the app's own runtime.
async fn read_gauges(State((vitals, gauges)): State<(Vitals, Gauges)>) -> Json<Value> {
    let mut all = serde_json::to_value(vitals.snapshot()).unwrap_or_default();
    for (name, read) in gauges.iter() {
        all[*name] = read();
    }
    Json(all)
}

/// Serves `router` until the drain is over: from its beginning no connection is accepted, live
/// responses end by themselves, and what is left when its time is up is cut.
///
/// # Errors
/// If the listener fails for good.
///
/// # Cancel safety
/// Dropping the future closes the listener; connections already accepted go on until their runtime ends.
pub async fn serve(listener: Listener, router: Router, drain: Drain) -> io::Result<()> {
    let open = listener.open_connections();
    let begun = drain.clone();
    let service = router.into_make_service_with_connect_info::<Peer>();
    let server =
        axum::serve(listener, service).with_graceful_shutdown(async move { begun.begun().await });
    tokio::select! {
        result = server => result,
        () = drain.expired() => {
            let left = open.load(std::sync::atomic::Ordering::Relaxed);
            tracing::warn!(left, "the drain's time is over; the connections that are left are cut");
            Ok(())
        }
    }
}
