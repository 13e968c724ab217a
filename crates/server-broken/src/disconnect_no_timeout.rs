//! Patience without end: everything is let go with the body, but an upstream that falls silent keeps
//! its permit for as long as its client waits.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use failures::disconnect::mount_with;
use relay::{Framing, Relay, RelayError, Timeouts};
use service::Services;

use crate::disconnect::FOREVER;

/// Only the connection has a limit: neither the silence of the upstream has one nor the whole.
pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let timeouts = Timeouts {
        connect: services.args.connect_timeout,
        idle: FOREVER,
        total: FOREVER,
    };
    mount_with(services, timeouts, relay_to)
}

/// A client that hangs up takes everything along, the silent upstream included. One that waits, as
/// clients without a timeout of their own do, or one that vanished without a FIN, does not.
async fn relay_to(relay: Relay, path: String, request: Request) -> Result<Response, RelayError> {
    let (parts, body) = request.into_parts();
    let request = relay.read(relay.request(&parts, &path, body)?).await?;
    let permit = relay.permit_within(FOREVER).await?;
    let upstream = relay.send(request).await?;
    let head = relay::response_head(&upstream);
    let body = relay.guard(upstream.bytes_stream(), permit, Framing::of(&head));
    Ok(Response::from_parts(head, Body::from_stream(body)))
}
