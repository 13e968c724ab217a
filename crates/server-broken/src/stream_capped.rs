//! Slow streams, async, by a client with a *limit on its connections*: no thread is held, and the loop is
//! free. But a stream has its connection for as long as it lasts, and the first one after the limit waits
//! in the client until another ends: unseen, in a queue without a bound, and without a time limit. Health
//! knows nothing of it.
//!
//! reqwest has no such limit. aiohttp and httpx have one, 100 unless told otherwise, and what such a
//! client amounts to is the semaphore here.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use failures::stream::mount;
use failures::task_is_gone;
use futures_util::StreamExt;
use relay::{Framing, Relay, RelayError};
use service::Services;
use tokio::sync::Semaphore;

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let connections = Arc::new(Semaphore::new(services.args.upstream_connections as usize));
    mount(services, move |relay, path, request| {
        relay_to(relay, connections.clone(), path, request)
    })
}

/// As the cure does it, but for the wait before it sends. It is the client's and not the relay's: no
/// timeout knows of it, no gauge, and no 503.
async fn relay_to(
    relay: Relay,
    connections: Arc<Semaphore>,
    path: String,
    request: Request,
) -> Result<Response, RelayError> {
    let (parts, body) = request.into_parts();
    let request = relay.read(relay.request(&parts, &path, body)?).await?;
    let permit = relay.permit()?;
    let connection = connections.acquire_owned().await.map_err(task_is_gone)?;
    let upstream = relay.send(request).await?;
    let head = relay::response_head(&upstream);
    let bytes = upstream.bytes_stream().inspect(move |_| {
        let _until_the_last_chunk = &connection;
    });
    let body = relay.guard(bytes, permit, Framing::of(&head));
    Ok(Response::from_parts(head, Body::from_stream(body)))
}
