//! A rollout at its end. Every stream takes the async path. The blocking path is gone, and so is the
//! percentage.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use failures::rollout::mount;
use relay::{Framing, Relay, RelayError};
use service::Services;

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    mount(services, relay_to)
}

/// Sends, takes the byte stream and returns it as the body. No thread is held.
async fn relay_to(relay: Relay, path: String, request: Request) -> Result<Response, RelayError> {
    let (parts, body) = request.into_parts();
    let request = relay.read(relay.request(&parts, &path, body)?).await?;
    let permit = relay.permit()?;
    let upstream = relay.send(request).await?;
    let head = relay::response_head(&upstream);
    let bytes = upstream.bytes_stream();
    let body = relay.guard(bytes, permit, Framing::of(&head));
    Ok(Response::from_parts(head, Body::from_stream(body)))
}
