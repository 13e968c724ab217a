//! Slow streams, async, by a client with a *limit on its connections*. No thread is held, and the loop is
//! free. But a stream keeps its connection until it ends. Beyond the limit, a stream waits inside the
//! client until another ends. That queue has no bound and no time limit, and health does not see it.
//!
//! reqwest has no such limit. aiohttp and httpx have one: 100 by default. The semaphore here stands for
//! such a client.

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

/// The same as the fixed server, with a wait before it sends. The client waits, not the relay. So no
/// timeout covers the wait, no gauge shows it, and no 503 ends it.
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
