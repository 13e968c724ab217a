//! Slow streams, async, to a host *name*: a stream holds no thread, and to open a connection takes one
//! all the same. reqwest's default resolver looks a name up by `getaddrinfo`, in `spawn_blocking`. While
//! others fill the runtime's blocking pool, the lookup waits behind them, and the stream with it, though
//! nothing in its handler blocks.
//!
//! An IP address, `.resolve()` or a resolver with threads of its own, as the relay has, need nothing of
//! that pool. Nor does a stream that finds an idle connection, so that this comes and goes with traffic.

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
    // One for all requests, with the resolver that reqwest has unless told otherwise.
    let client = by_name::client(&services.args)?;
    mount_at(services, upstream, move |relay, path, request| {
        relay_to(relay, client.clone(), path, request)
    })
}

/// As the cure does it, but for the client. The wait is in `execute`, as a part of connecting.
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
