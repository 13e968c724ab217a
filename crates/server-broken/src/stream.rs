//! Slow streams exhaust the blocking pool: every stream holds a thread until it ends.

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

/// Sends and reads on a thread of the pool, and passes on what comes. The thread is held until the
/// upstream has sent everything. If the client leaves, the thread notices when it passes the next chunk
/// on. If the client leaves while its job is queued, the job stays in the queue.
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
