//! Hang-ups, cured. The client's body owns the upstream's response and the permit. Dropping the body
//! frees both, so no clean-up can be forgotten.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use failures::disconnect::mount;
use relay::{Framing, Relay, RelayError};
use service::Services;

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    mount(services, relay_to)
}

/// There is no task and no registry. All state is in local variables, and later in the body. The body
/// frees it at its end, at a timeout, or when hyper drops it because the client has left. hyper notices
/// that in mid-response only because the request's body has been read to its end.
async fn relay_to(relay: Relay, path: String, request: Request) -> Result<Response, RelayError> {
    let (parts, body) = request.into_parts();
    let request = relay.read(relay.request(&parts, &path, body)?).await?;
    let permit = relay.permit_within(relay.timeouts().connect).await?;
    let upstream = relay.send(request).await?;
    let head = relay::response_head(&upstream);
    let body = relay.guard(upstream.bytes_stream(), permit, Framing::of(&head));
    Ok(Response::from_parts(head, Body::from_stream(body)))
}
