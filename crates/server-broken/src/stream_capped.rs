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
use futures_util::{Stream, StreamExt};
use relay::{Framing, Relay, RelayError};
use service::Services;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use crate::stream_routes::{self, RelayTo, Upstream};

#[derive(Clone)]
struct App {
    relay: Relay,
    connections: Arc<Semaphore>,
}

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let Upstream { relay, .. } = stream_routes::upstream(services)?;
    let connections = services.args.upstream_connections as usize;
    let app = App {
        relay,
        connections: Arc::new(Semaphore::new(connections)),
    };
    Ok(stream_routes::router(app))
}

impl RelayTo for App {
    /// As the cure does it, but for the wait before it sends. It is the client's and not the relay's:
    /// no timeout knows of it, no gauge, and no 503.
    async fn relay_to(self, path: &str, request: Request) -> Result<Response, RelayError> {
        let App { relay, connections } = self;
        let (parts, body) = request.into_parts();
        let request = relay.read(relay.request(&parts, path, body)?).await?;
        let permit = relay.permit()?;
        let connection = connections.acquire_owned().await.map_err(never)?;
        let upstream = relay.send(request).await?;
        let head = relay::response_head(&upstream);
        let bytes = keep(connection, upstream.bytes_stream());
        let body = relay.guard(bytes, permit, Framing::of(&head));
        Ok(Response::from_parts(head, Body::from_stream(body)))
    }
}

/// A stream that has its connection until it is dropped.
fn keep<S: Stream>(connection: OwnedSemaphorePermit, bytes: S) -> impl Stream<Item = S::Item> {
    bytes.inspect(move |_| {
        let _ = &connection;
    })
}

/// A semaphore that nobody closes does not refuse.
fn never(error: AcquireError) -> RelayError {
    RelayError::Connect {
        source: error.into(),
    }
}
