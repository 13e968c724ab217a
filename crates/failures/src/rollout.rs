//! The routes of `rollout` and its relay, and the percentage with its metrics and its gauge.

use axum::Router;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use relay::Relay;
use relay::rollout::{Percentage, Rollout};
use service::Services;

use crate::relaying::{relay, routes, timeouts, upstream_url};

/// `GET /rollout/stream` and `POST /rollout/v1/chat/completions`, relayed as `relay_to` does it: it gets
/// the relay, the path at the upstream and the request.
///
/// # Errors
/// If the upstream's address is none that can be relayed to.
pub fn mount<F, R>(services: &mut Services, relay_to: F) -> anyhow::Result<Router>
where
    F: Fn(Relay, String, Request) -> R + Clone + Send + Sync + 'static,
    R: Future<Output: IntoResponse> + Send + 'static,
{
    let args = &services.args;
    let relay = relay(args, upstream_url(args)?, timeouts(args))?;
    Ok(routes("/rollout", "/stream", relay, relay_to))
}

/// As [`mount`], with a rollout that begins at the percentage of the flags: `choose` gets it too. Its metrics,
/// its gauge and the routes that change its percentage are mounted with it.
///
/// # Errors
/// As [`mount`], or if the percentage is above 100.
pub fn mount_by_percentage<F, R>(services: &mut Services, choose: F) -> anyhow::Result<Router>
where
    F: Fn(Relay, Rollout, String, Request) -> R + Clone + Send + Sync + 'static,
    R: Future<Output: IntoResponse> + Send + 'static,
{
    let args = &services.args;
    let percentage = Percentage::try_from(u64::from(args.async_rollout_percentage))?;
    let rollout = Rollout::new(percentage, args.rollout_seed);
    rollout.register(services.metrics());
    let gauge = rollout.clone();
    services.gauge("rollout", move || gauge.snapshot());
    // For whoever may, in an app that is open to others: they change what every client gets.
    let operators = rollout.routes();
    let app = mount(services, move |relay, path, request| {
        choose(relay, rollout.clone(), path, request)
    })?;
    Ok(app.merge(operators))
}

/// The key of a request: the same session always takes the same path.
#[must_use]
pub fn session(parts: &Parts) -> Option<&[u8]> {
    let session = parts.headers.get("x-session-id")?;
    Some(session.as_bytes())
}
