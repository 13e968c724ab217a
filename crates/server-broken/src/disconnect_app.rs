//! What the mechanisms of `disconnect` share: routes, relay, gauge. Nothing of the lesson: who holds
//! what, and for how long, is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::Uri;
use relay::{BoxError, Relay, RelayError, RelaySnapshot, Timeouts};
use serde::Serialize;
use service::{ServerArgs, Services};

/// A limit that nobody has set: a year, as Tokio's timers do not reach much farther.
pub(crate) const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

#[derive(Clone)]
pub(crate) struct App {
    pub(crate) relay: Relay,
    clients: Arc<AtomicUsize>,
}

/// The gauge.
#[derive(Serialize)]
struct Gauge {
    #[serde(flatten)]
    relay: RelaySnapshot,
    /// Permits whose client is gone, as far as this server knows.
    held: usize,
}

pub(crate) fn timeouts(args: &ServerArgs) -> Timeouts {
    Timeouts {
        connect: args.connect_timeout,
        idle: args.idle_timeout,
        total: args.total_timeout,
    }
}

/// The routes of the failure, with `relay_to` as its mechanism: it gets the path at the upstream.
pub(crate) fn mount<F, R>(
    services: &mut Services,
    timeouts: Timeouts,
    relay_to: F,
) -> anyhow::Result<Router>
where
    F: Fn(App, String, Request) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<Response, RelayError>> + Send + 'static,
{
    let args = &services.args;
    let upstream = args.upstream.parse().context("--upstream")?;
    let relay = Relay::new(upstream, timeouts, args.max_upstream as usize)?;
    relay.register(services.metrics().sub_registry_with_prefix("disconnect"));
    let app = App {
        relay,
        clients: Arc::default(),
    };
    let gauge = app.clone();
    services.gauge("disconnect", move || gauge.read());
    let handler =
        move |request: Request| relay_to(app.clone(), path_at_upstream(request.uri()), request);
    Ok(Router::new()
        .route("/disconnect/stream", get(handler.clone()))
        .route("/disconnect/v1/chat/completions", post(handler)))
}

/// Numbered chunks, for curl, with the query passed on; the OpenAI API as it is.
fn path_at_upstream(uri: &Uri) -> String {
    match uri.path().strip_prefix("/disconnect") {
        Some("/stream") => format!("/slow_stream?{}", uri.query().unwrap_or_default()),
        path => path.unwrap_or_default().to_owned(),
    }
}

/// A client that got a permit, until its request or its body is dropped: then this server knows that
/// it is gone.
pub(crate) struct Client {
    clients: Arc<AtomicUsize>,
}

impl App {
    pub(crate) fn client(&self) -> Client {
        self.clients.fetch_add(1, Ordering::Relaxed);
        Client {
            clients: Arc::clone(&self.clients),
        }
    }

    fn read(&self) -> Gauge {
        let relay = self.relay.snapshot();
        let clients = self.clients.load(Ordering::Relaxed);
        let held = relay.permits_in_use.saturating_sub(clients);
        Gauge { relay, held }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The client's body; `kept` is dropped with it.
pub(crate) fn body_with<S, E, T>(bytes: S, kept: T) -> Body
where
    S: Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: Into<BoxError> + 'static,
    T: Send + 'static,
{
    Body::from_stream(bytes.inspect(move |_| {
        let _ = &kept;
    }))
}
