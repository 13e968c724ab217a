//! A rollout under way. The blocking path and the async path are both there, and a percentage says which
//! streams take which. Each stream on the blocking path holds a thread. So the pool stays exhausted until
//! fewer such streams are left than it has threads.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use failures::rollout::{mount_by_percentage, session};
use relay::rollout::Rollout;
use relay::{Framing, Relay, RelayError};
use service::Services;

use crate::blocking::BlockingClient;
use crate::stream;

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let client = BlockingClient::new(services);
    mount_by_percentage(services, move |relay, rollout, path, request| {
        choose(relay, rollout, client.clone(), path, request)
    })
}

/// Keeps the whole request until an answer's first byte is there, because the other path may need it.
async fn choose(
    relay: Relay,
    rollout: Rollout,
    client: BlockingClient,
    path: String,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let request = async { relay.buffer(relay.request(&parts, &path, body)?).await };
    let (to, at) = (relay.clone(), path.clone());
    let new = |request: Request<_>| relay_to(to, at, request.map(Body::from));
    let (to, at) = (relay.clone(), path.clone());
    let old = |request: Request<_>| stream::relay_to(to, client, at, request.map(Body::from));
    rollout.serve(session(&parts), request, new, old).await
}

/// Sends, takes the byte stream and returns it as the body. No thread is held.
/// Until the first byte is there, the blocking path can still take over.
async fn relay_to(relay: Relay, path: String, request: Request) -> Result<Response, RelayError> {
    let (parts, body) = request.into_parts();
    let request = relay.read(relay.request(&parts, &path, body)?).await?;
    let permit = relay.permit()?;
    let upstream = relay.send(request).await?;
    let head = relay::response_head(&upstream);
    let bytes = upstream.bytes_stream();
    let body = relay.guard(bytes, permit, Framing::of(&head));
    let body = body.first_byte().await?;
    Ok(Response::from_parts(head, Body::from_stream(body)))
}
