use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::Context;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::registry::Registry;
use serde::Serialize;
use serde_json::Value;
use tokio::runtime::Handle;
use vitals::{BlockingPool, Vitals, Watchdog};

use crate::runtimes::Runtimes;
use crate::serve::without_keep_alive;
use crate::{Drain, EnvironmentError, Listener, ServerArgs, announce, lifeline};

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

/// Runs a server to its end: builds its runtimes, announces its addresses, serves what `routes` builds
/// beside the health routes and the metrics, and drains on SIGTERM.
///
/// `routes` is called within the first runtime, whose blocking pool is the one of `vitals`. Each
/// runtime has a blocking pool of its own for whatever does not go through that one.
///
/// # Errors
/// [`EnvironmentError`] if an address or a runtime cannot be had; whatever `routes` returns.
pub fn run(
    args: ServerArgs,
    routes: impl FnOnce(&mut Services) -> anyhow::Result<Router>,
) -> anyhow::Result<()> {
    crate::init_log();
    lifeline::watch().context("cannot watch standard input")?;
    let runtimes = Runtimes::new(&args)?;
    let drain = Drain::new(args.drain);
    let (listener, app, _watchdog) = start(args, &runtimes.handles(), routes)?;
    runtimes
        .serve(listener, app, drain)
        .context("the listener failed")
}

/// Binds, builds and announces.
fn start(
    args: ServerArgs,
    runtimes: &[Handle],
    routes: impl FnOnce(&mut Services) -> anyhow::Result<Router>,
) -> anyhow::Result<(Listener, Router, Watchdog)> {
    let (first, others) = runtimes.split_first().context("no runtime")?;
    let _inside = first.enter();
    let listener = Listener::bind(args.listen, "--listen")?.with_write_timeout(args.write_timeout);
    let watchdog = bind_watchdog(args.gauges)?;
    let keep_alive = args.keep_alive;
    let pool = BlockingPool::new(args.pool_threads as usize);
    let mut services = Services {
        vitals: others.iter().fold(Vitals::new(pool), Vitals::with_runtime),
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
    let mut app = failures
        .merge(vitals.health_routes())
        .merge(vitals::metrics_routes(Arc::clone(&registry)));
    if !keep_alive {
        app = without_keep_alive(app);
    }
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
    Ok((listener, app, watchdog))
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
