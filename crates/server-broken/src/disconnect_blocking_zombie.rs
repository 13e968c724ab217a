//! A reader that cannot be aborted. A thread of the blocking pool reads the upstream. A hang-up does not
//! stop it: it holds the thread and the permit until the upstream ends.

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

/// The next chunk cannot be passed on, and the thread ignores that. Whichever are fewer run out first:
/// the permits or the threads.
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
