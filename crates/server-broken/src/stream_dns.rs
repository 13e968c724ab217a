//! Slow streams, async, to a host *name*. A stream holds no thread, but opening its connection needs one:
//! reqwest's default resolver calls `getaddrinfo` in `spawn_blocking`. While other work fills the
//! runtime's blocking pool, the lookup waits behind it. The stream waits for the lookup, though nothing
//! in its handler blocks.
//!
//! No lookup on that pool is needed for an IP address, with `.resolve()`, or by a resolver with its own
//! threads, like the relay's. An idle connection needs no lookup either, so the failure comes and goes.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use failures::stream::mount_at;
use relay::{Framing, Relay, RelayError};
use reqwest::Client;
use service::Services;

use crate::by_name;

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let upstream = by_name::upstream(&services.args)?;
    // One client for all requests, with reqwest's default resolver.
    let client = by_name::client(&services.args)?;
    mount_at(services, upstream, move |relay, path, request| {
        relay_to(relay, client.clone(), path, request)
    })
}

/// The same as the fixed server, except for the client. `execute` connects, so the wait is there.
async fn relay_to(
    relay: Relay,
    client: Client,
    path: String,
    request: Request,
) -> Result<Response, RelayError> {
    let (parts, body) = request.into_parts();
    let request = relay.buffer(relay.request(&parts, &path, body)?).await?;
    let permit = relay.permit()?;
    let request = request.try_into().map_err(by_name::unsent)?;
    let upstream = client.execute(request).await;
    let upstream = upstream.map_err(|error| by_name::no_head(error, relay.timeouts()))?;
    let head = relay::response_head(&upstream);
    let bytes = upstream.bytes_stream();
    let body = relay.guard(bytes, permit, Framing::of(&head));
    Ok(Response::from_parts(head, Body::from_stream(body)))
}
