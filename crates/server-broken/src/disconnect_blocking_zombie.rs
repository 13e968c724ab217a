//! A reader that cannot be aborted: the upstream is read on a thread of the blocking pool, which the
//! client's hang-up does not reach. It holds the thread and the permit until the upstream ends.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use failures::disconnect::mount;
use relay::{Relay, RelayError};
use service::Services;

use crate::blocking::{BlockingClient, passage};
use crate::disconnect::FOREVER;

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let client = BlockingClient::new(services);
    mount(services, move |relay, path, request| {
        relay_to(relay, client.clone(), path, request)
    })
}

/// That nobody takes chunks any more is seen with the next one, and ignored. With fewer threads than
/// permits, it is the threads that run out.
async fn relay_to(
    relay: Relay,
    client: BlockingClient,
    path: String,
    request: Request,
) -> Result<Response, RelayError> {
    let (parts, body) = request.into_parts();
    let request = relay.buffer(relay.request(&parts, &path, body)?).await?;
    let permit = relay.permit_within(FOREVER).await?;
    let (passage, answer) = passage();
    client.on_a_thread(passage, move |client, mut passage| {
        let _until_the_upstream_ends = permit;
        for part in client.exchange(request) {
            let _ = passage.pass(part);
        }
    });
    let (head, body) = answer.begin().await?;
    Ok(Response::from_parts(head, Body::from_stream(body)))
}
