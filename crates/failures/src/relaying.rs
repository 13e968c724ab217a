//! What the relaying failures share: the relay that the flags ask for, and the routes.

use anyhow::Context;
use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use relay::{BoxError, Protocol, Relay, RelayError, Timeouts, Url};
use service::ServerArgs;

/// The limits of an exchange with the upstream, from the flags.
#[must_use]
pub fn timeouts(args: &ServerArgs) -> Timeouts {
    Timeouts {
        connect: args.connect_timeout,
        idle: args.idle_timeout,
        total: args.total_timeout,
    }
}

/// The upstream's address, from the flags.
///
/// # Errors
/// If it is not an address.
pub fn upstream_url(args: &ServerArgs) -> anyhow::Result<Url> {
    args.upstream.parse().context("--upstream")
}

/// The error of a task or thread that ended without sending the head of the answer.
#[must_use]
pub fn task_is_gone(error: impl Into<BoxError>) -> RelayError {
    RelayError::Upstream {
        source: error.into(),
    }
}

/// A relay to `upstream`, with the flags' limit on concurrent exchanges.
pub(crate) fn relay(args: &ServerArgs, upstream: Url, timeouts: Timeouts) -> anyhow::Result<Relay> {
    Ok(Relay::new(upstream, timeouts, args.max_upstream as usize)?)
}

/// The version of HTTP that the flags ask for.
pub(crate) fn protocol(args: &ServerArgs) -> Protocol {
    if args.upstream_http2 {
        Protocol::Http2PriorKnowledge
    } else {
        Protocol::default()
    }
}

/// Two routes below `prefix`. `GET <stream>` is for curl: it passes its query on to the upstream's
/// numbered chunks. `POST /v1/chat/completions` is the OpenAI API unchanged. `relay_to` gets the relay,
/// the path at the upstream and the request.
pub(crate) fn routes<F, R>(prefix: &'static str, stream: &str, relay: Relay, relay_to: F) -> Router
where
    F: Fn(Relay, String, Request) -> R + Clone + Send + Sync + 'static,
    R: Future<Output: IntoResponse> + Send + 'static,
{
    let chunks = {
        let (relay, relay_to) = (relay.clone(), relay_to.clone());
        move |request: Request| {
            let query = request.uri().query().unwrap_or_default();
            relay_to(relay.clone(), format!("/slow_stream?{query}"), request)
        }
    };
    Router::new()
        .route(&format!("{prefix}{stream}"), get(chunks))
        .route(
            &format!("{prefix}/v1/chat/completions"),
            post(as_it_is(prefix, relay, relay_to)),
        )
}

/// A handler that relays to the path of the request, without `prefix` and without its query.
pub(crate) fn as_it_is<F, R>(
    prefix: &'static str,
    relay: Relay,
    relay_to: F,
) -> impl Fn(Request) -> R + Clone + Send + Sync + 'static
where
    F: Fn(Relay, String, Request) -> R + Clone + Send + Sync + 'static,
{
    move |request: Request| {
        let path = request.uri().path();
        let path = path.strip_prefix(prefix).unwrap_or(path).to_owned();
        relay_to(relay.clone(), path, request)
    }
}
