//! The routes of `stream`, its relay and the relay's gauge.

use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use axum::routing::get;
use relay::{Relay, Url};
use service::Services;

use crate::relaying::{as_it_is, protocol, relay, routes, timeouts, upstream_url};

/// `GET /chat/stream`, `POST /v1/chat/completions` and `GET /v1/models`, relayed by `relay_to` to the
/// upstream of the flags. It gets the relay, the path at the upstream and the request.
///
/// # Errors
/// If the relay cannot use the upstream's address.
pub fn mount<F, R>(services: &mut Services, relay_to: F) -> anyhow::Result<Router>
where
    F: Fn(Relay, String, Request) -> R + Clone + Send + Sync + 'static,
    R: Future<Output: IntoResponse> + Send + 'static,
{
    let upstream = upstream_url(&services.args)?;
    mount_at(services, upstream, relay_to)
}

/// As [`mount`], with an upstream at another address.
///
/// # Errors
/// As [`mount`].
pub fn mount_at<F, R>(services: &mut Services, upstream: Url, relay_to: F) -> anyhow::Result<Router>
where
    F: Fn(Relay, String, Request) -> R + Clone + Send + Sync + 'static,
    R: Future<Output: IntoResponse> + Send + 'static,
{
    let args = &services.args;
    let relay = relay(args, upstream, timeouts(args))?.with_protocol(protocol(args))?;
    relay.register(services.metrics());
    let gauge = relay.clone();
    services.gauge("relay", move || gauge.snapshot());
    let models = get(as_it_is("", relay.clone(), relay_to.clone()));
    Ok(routes("", "/chat/stream", relay, relay_to).route("/v1/models", models))
}
