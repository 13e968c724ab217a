//! A hang-up that nobody looks for: while the response is under way nothing is read from the client's
//! connection, so its end is noticed only when something is written. As long as the upstream is
//! silent, nothing is.

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

/// Everything is let go with the body; but the body is dropped when hyper notices, and hyper, told
/// to allow half-closed connections, does not look.
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
