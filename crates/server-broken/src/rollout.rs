//! A rollout under way: the blocking path and the async one side by side, and a percentage that says
//! who takes which. A thread is held for each stream that is still on the blocking path, so the pool
//! stays exhausted until fewer of them are left than it has threads.

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

/// The whole request is kept for the other path, until the first one has the first byte of an answer.
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

/// Send, take the byte stream, return it as the body: no thread is held. Until the first byte is there
/// the blocking path can still take over.
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
