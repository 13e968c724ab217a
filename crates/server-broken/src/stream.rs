//! Slow streams exhaust the blocking pool: a thread is held for as long as a stream lasts.

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use relay::{Framing, Relay, RelayError, Timeouts};
use service::Services;
use tokio::sync::{mpsc, oneshot};
use vitals::BlockingPool;

use crate::blocking::{self, Client};

#[derive(Clone)]
struct App {
    relay: Relay,
    client: Client,
    pool: BlockingPool,
}

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let args = &services.args;
    let timeouts = Timeouts {
        connect: args.connect_timeout,
        idle: args.idle_timeout,
        total: args.total_timeout,
    };
    let upstream = args.upstream.parse().context("--upstream")?;
    let relay = Relay::new(upstream, timeouts, args.max_upstream as usize)?;
    relay.register(services.metrics());
    let gauge = relay.clone();
    services.gauge("relay", move || gauge.snapshot());
    let client = Client::new(timeouts);
    let pool = services.vitals.pool().clone();
    let app = App {
        relay,
        client,
        pool,
    };
    Ok(Router::new()
        .route("/chat/stream", get(chat_stream))
        .route("/v1/chat/completions", post(openai))
        .route("/v1/models", get(openai))
        .with_state(app))
}

/// `GET /chat/stream`: numbered chunks, for curl; the query is passed on.
async fn chat_stream(State(app): State<App>, request: Request) -> Result<Response, RelayError> {
    let query = request.uri().query().unwrap_or_default();
    let path = format!("/slow_stream?{query}");
    relay_to(app, &path, request).await
}

/// The OpenAI API, passed on as it is.
async fn openai(State(app): State<App>, request: Request) -> Result<Response, RelayError> {
    let path = request.uri().path().to_owned();
    relay_to(app, &path, request).await
}

/// Send and read on a thread of the pool, and pass what comes through a channel. The thread is held
/// until the upstream has sent everything. A client that goes away is noticed when the next chunk
/// cannot be passed on; one that goes away while its job is queued leaves the job behind.
async fn relay_to(app: App, path: &str, request: Request) -> Result<Response, RelayError> {
    let App {
        relay,
        client,
        pool,
    } = app;
    let (parts, body) = request.into_parts();
    let request = relay.buffer(relay.request(&parts, path, body)?).await?;
    let permit = relay.permit()?;
    let (head_sender, head) = oneshot::channel();
    let (sender, chunks) = mpsc::channel(1);
    pool.spawn(move || {
        let (head, reader) = match client.send(request) {
            Ok(upstream) => upstream,
            Err(error) => return drop(head_sender.send(Err(error))),
        };
        let _ = head_sender.send(Ok(head));
        for chunk in blocking::chunks(reader) {
            if sender.blocking_send(chunk).is_err() {
                return;
            }
        }
    });
    let head = head.await.map_err(|gone| RelayError::Upstream {
        source: gone.into(),
    })??;
    let bytes = blocking::receive(chunks);
    let body = relay.guard(bytes, permit, Framing::of(&head));
    Ok(Response::from_parts(head, Body::from_stream(body)))
}
