//! No timeout. Everything is freed with the body, but a silent upstream keeps its permit for as long as
//! the client waits.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use failures::disconnect::mount_with;
use relay::{Framing, Relay, RelayError, Timeouts};
use service::Services;

use crate::disconnect::FOREVER;

/// Only connecting has a limit. The silence of the upstream has none, and the whole request has none.
pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let timeouts = Timeouts {
        connect: services.args.connect_timeout,
        idle: FOREVER,
        total: FOREVER,
    };
    mount_with(services, timeouts, relay_to)
}

/// A client that hangs up frees everything, even before a silent upstream. A client without a timeout
/// waits and frees nothing. Nor does a client that vanished without a FIN.
async fn relay_to(relay: Relay, path: String, request: Request) -> Result<Response, RelayError> {
    let (parts, body) = request.into_parts();
    let request = relay.read(relay.request(&parts, &path, body)?).await?;
    let permit = relay.permit_within(FOREVER).await?;
    let upstream = relay.send(request).await?;
    let head = relay::response_head(&upstream);
    let body = relay.guard(upstream.bytes_stream(), permit, Framing::of(&head));
    Ok(Response::from_parts(head, Body::from_stream(body)))
}
