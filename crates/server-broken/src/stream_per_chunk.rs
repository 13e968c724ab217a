//! Slow streams, with a thread for each *chunk*, as Starlette reads a generator that is not async. A
//! thread is held only until the next chunk arrives, so more streams flow than there are threads. But
//! every stream always waits for a chunk, so all threads are busy. Other work waits for a thread until a
//! chunk arrives. If as many streams as threads fall silent, it waits for ever.

use std::io;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use failures::stream::mount;
use futures_util::{Stream, stream};
use relay::{Framing, Relay, RelayError};
use service::Services;

use crate::blocking::{BlockingClient, Chunk, Chunks};

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let client = BlockingClient::new(services);
    mount(services, move |relay, path, request| {
        relay_to(relay, client.clone(), path, request)
    })
}

/// One job on the pool sends the request and waits for the head. Then each chunk has a job of its own.
async fn relay_to(
    relay: Relay,
    client: BlockingClient,
    path: String,
    request: Request,
) -> Result<Response, RelayError> {
    let (parts, body) = request.into_parts();
    let request = relay.buffer(relay.request(&parts, &path, body)?).await?;
    let permit = relay.permit()?;
    let (head, chunks) = client.run(move |client| client.send(request)).await??;
    let bytes = chunk_by_chunk(client, chunks);
    let body = relay.guard(bytes, permit, Framing::of(&head));
    Ok(Response::from_parts(head, Body::from_stream(body)))
}

/// Runs each `next` on a thread of the pool. A client that leaves abandons one job: the one that waits
/// for the next chunk.
fn chunk_by_chunk(client: BlockingClient, chunks: Chunks) -> impl Stream<Item = Chunk> {
    stream::unfold(Some((client, chunks)), async |state| {
        let (client, mut chunks) = state?;
        match client.run(move |_| (chunks.next(), chunks)).await {
            Ok((chunk, chunks)) => Some((chunk?, Some((client, chunks)))),
            Err(gone) => Some((Err(io::Error::other(gone)), None)),
        }
    })
}
