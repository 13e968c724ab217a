//! The routes of `disconnect`, its relay with its fallbacks, and its gauge.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use futures_util::StreamExt;
use relay::{Relay, RelayError, RelaySnapshot, Timeouts, Url};
use serde::Serialize;
use service::Services;

use crate::relaying::{protocol, relay, routes, timeouts, upstream_url};

/// `GET /disconnect/stream` and `POST /disconnect/v1/chat/completions`, relayed by `relay_to`. It gets the
/// relay, the path at the upstream and the request.
///
/// # Errors
/// If the relay cannot use the address of the upstream or of a fallback.
pub fn mount<F, R>(services: &mut Services, relay_to: F) -> anyhow::Result<Router>
where
    F: Fn(Relay, String, Request) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<Response, RelayError>> + Send + 'static,
{
    let timeouts = timeouts(&services.args);
    mount_with(services, timeouts, relay_to)
}

/// As [`mount`], with limits other than those of the flags.
///
/// # Errors
/// As [`mount`].
pub fn mount_with<F, R>(
    services: &mut Services,
    timeouts: Timeouts,
    relay_to: F,
) -> anyhow::Result<Router>
where
    F: Fn(Relay, String, Request) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<Response, RelayError>> + Send + 'static,
{
    let args = &services.args;
    let fallbacks = args.fallback.iter().map(|url| url.parse());
    let fallbacks: Vec<Url> = fallbacks.collect::<Result<_, _>>().context("--fallback")?;
    let relay = relay(args, upstream_url(args)?, timeouts)?
        .with_protocol(protocol(args))?
        .with_fallbacks(fallbacks)?;
    relay.register(services.metrics().sub_registry_with_prefix("disconnect"));
    let clients = KnownClients::default();
    let (watched, counted) = (relay.clone(), clients.clone());
    services.gauge("disconnect", move || {
        DisconnectGauge::read(&watched, &counted)
    });
    let relay_to = move |relay, path, request| {
        let client = clients.enter();
        let answer = relay_to(relay, path, request);
        async move { Ok::<_, RelayError>(client.accompany(answer.await?)) }
    };
    Ok(routes("/disconnect", "/stream", relay, relay_to))
}

/// The gauge `disconnect`.
#[derive(Serialize)]
struct DisconnectGauge {
    #[serde(flatten)]
    relay: RelaySnapshot,
    /// Permits whose client has left, as far as this server knows.
    held: usize,
}

impl DisconnectGauge {
    fn read(relay: &Relay, clients: &KnownClients) -> Self {
        let relay = relay.snapshot();
        let served = clients.count().saturating_sub(relay.permits_waiting);
        let held = relay.permits_in_use.saturating_sub(served);
        Self { relay, held }
    }
}

/// Counts the clients that this server believes to be there.
#[derive(Clone, Default)]
struct KnownClients(Arc<AtomicUsize>);

impl KnownClients {
    /// Counts one more client, until its request or the body of its answer is dropped.
    fn enter(&self) -> KnownClient {
        self.0.fetch_add(1, Ordering::Relaxed);
        KnownClient(self.clone())
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

struct KnownClient(KnownClients);

impl KnownClient {
    /// The same answer. The client counts until the answer's body is dropped.
    fn accompany(self, answer: Response) -> Response {
        answer.map(|body| {
            let chunks = body.into_data_stream();
            Body::from_stream(chunks.inspect(move |_| {
                let _ = &self;
            }))
        })
    }
}

impl Drop for KnownClient {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
