//! Slow streams exhaust the blocking pool: a thread is held for as long as a stream lasts.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use failures::stream::mount;
use relay::{Framing, Relay, RelayError};
use service::Services;

use crate::blocking::{BlockingClient, passage};

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let client = BlockingClient::new(services);
    mount(services, move |relay, path, request| {
        relay_to(relay, client.clone(), path, request)
    })
}

/// Send and read on a thread of the pool, and pass on what comes. The thread is held until the upstream
/// has sent everything. A client that goes away is noticed when the next chunk cannot be passed on; one
/// that goes away while its job is queued leaves the job behind.
pub(crate) async fn relay_to(
    relay: Relay,
    client: BlockingClient,
    path: String,
    request: Request,
) -> Result<Response, RelayError> {
    let (parts, body) = request.into_parts();
    let request = relay.buffer(relay.request(&parts, &path, body)?).await?;
    let permit = relay.permit()?;
    let (passage, answer) = passage();
    client.on_a_thread(passage, move |client, mut passage| {
        for part in client.exchange(request) {
            if passage.pass(part).is_err() {
                return;
            }
        }
    });
    let (head, bytes) = answer.begin().await?;
    let body = relay.guard(bytes, permit, Framing::of(&head));
    Ok(Response::from_parts(head, Body::from_stream(body)))
}
