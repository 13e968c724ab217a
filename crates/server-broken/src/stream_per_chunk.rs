//! Slow streams, a thread for each *chunk*: what Starlette makes of a generator that is not async.
//! A thread is held only until the next chunk is there, so far more streams flow than there are
//! threads. But every stream always waits for its next chunk, so all threads are held all the same:
//! whatever else wants one waits for as long as a chunk takes, and without end once as many streams
//! as there are threads fall silent.

use std::io;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, stream};
use relay::{Framing, Relay, RelayError};
use service::Services;
use vitals::{BlockingPool, PoolError};

use crate::blocking::{self, Client};
use crate::stream_routes::{self, RelayTo, Upstream};

#[derive(Clone)]
struct App {
    relay: Relay,
    client: Client,
    pool: BlockingPool,
}

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let Upstream {
        relay, timeouts, ..
    } = stream_routes::upstream(services)?;
    let client = Client::new(timeouts);
    let pool = services.vitals.pool().clone();
    let app = App {
        relay,
        client,
        pool,
    };
    Ok(stream_routes::router(app))
}

impl RelayTo for App {
    /// Send and wait for the head in one job on the pool, then for each chunk in a job of its own.
    async fn relay_to(self, path: &str, request: Request) -> Result<Response, RelayError> {
        let App {
            relay,
            client,
            pool,
        } = self;
        let (parts, body) = request.into_parts();
        let request = relay.buffer(relay.request(&parts, path, body)?).await?;
        let permit = relay.permit()?;
        let send = pool.run(move || client.send(request)).await;
        let (head, reader) = send.map_err(broken_off)??;
        // Boxed, as it moves to a thread and back for each chunk, with its buffer.
        let chunks = Box::new(blocking::chunks(reader));
        let bytes = chunk_by_chunk(pool, chunks);
        let body = relay.guard(bytes, permit, Framing::of(&head));
        Ok(Response::from_parts(head, Body::from_stream(body)))
    }
}

/// Each `next` on a thread of the pool. A client that goes away leaves the job that waits for the next
/// chunk behind, and no more than that one.
fn chunk_by_chunk<I>(pool: BlockingPool, chunks: I) -> impl Stream<Item = io::Result<Bytes>>
where
    I: Iterator<Item = io::Result<Bytes>> + Send + 'static,
{
    stream::unfold((pool, Some(chunks)), async |(pool, chunks)| {
        let mut chunks = chunks?;
        let next = pool.run(move || (chunks.next(), chunks)).await;
        match next {
            Ok((chunk, chunks)) => Some((chunk?, (pool, Some(chunks)))),
            Err(gone) => Some((Err(io::Error::other(gone)), (pool, None))),
        }
    })
}

fn broken_off(gone: PoolError) -> RelayError {
    RelayError::Upstream {
        source: gone.into(),
    }
}
