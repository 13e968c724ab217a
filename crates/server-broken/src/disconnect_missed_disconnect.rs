//! A hang-up that nobody looks for. During a response, nothing is read from the client's connection. A
//! hang-up is noticed only when a write fails. While the upstream is silent there is no write.

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use failures::disconnect::mount;
use futures_util::StreamExt;
use relay::{Framing, Relay, RelayError};
use service::{Peer, Services};

use crate::disconnect::FOREVER;

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    mount(services, relay_to)
}

/// The body owns everything, but hyper drops it only when it notices the hang-up. hyper does not look,
/// because it was told to allow half-closed connections.
async fn relay_to(relay: Relay, path: String, request: Request) -> Result<Response, RelayError> {
    let (parts, body) = request.into_parts();
    let request = relay.read(relay.request(&parts, &path, body)?).await?;
    let peer = parts.extensions.get::<ConnectInfo<Peer>>();
    let half_close = peer.map(|ConnectInfo(peer)| peer.half_close());
    let permit = relay.permit_within(FOREVER).await?;
    let upstream = relay.send(request).await?;
    let head = relay::response_head(&upstream);
    let body = relay.guard(upstream.bytes_stream(), permit, Framing::of(&head));
    let body = body.inspect(move |_| {
        let _until_the_last_chunk = &half_close;
    });
    Ok(Response::from_parts(head, Body::from_stream(body)))
}
