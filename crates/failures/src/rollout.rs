//! The routes of `rollout` and its relay, and the percentage with its metrics and its gauge.

use axum::Router;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use relay::Relay;
use relay::rollout::{Percentage, Rollout};
use service::Services;

use crate::relaying::{relay, routes, timeouts, upstream_url};

/// `GET /rollout/stream` and `POST /rollout/v1/chat/completions`, relayed by `relay_to`. It gets the
/// relay, the path at the upstream and the request.
///
/// # Errors
/// If the relay cannot use the upstream's address.
pub fn mount<F, R>(services: &mut Services, relay_to: F) -> anyhow::Result<Router>
where
    F: Fn(Relay, String, Request) -> R + Clone + Send + Sync + 'static,
    R: Future<Output: IntoResponse> + Send + 'static,
{
    let args = &services.args;
    let relay = relay(args, upstream_url(args)?, timeouts(args))?;
    Ok(routes("/rollout", "/stream", relay, relay_to))
}

/// As [`mount`], with a rollout, which `choose` also gets. It begins at the percentage of the flags. Its
/// metrics, its gauge and the routes that change its percentage are mounted with it.
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
    // These routes change what every client gets. An app that is open to others must protect them.
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
