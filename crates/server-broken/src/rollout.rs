//! A rollout under way: the blocking path and the async one side by side, and a percentage that says
//! who takes which. A thread is held for each stream that is still on the blocking path, so the pool
//! stays exhausted until fewer of them are left than it has threads.

use anyhow::Context;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::HeaderValue;
use relay::rollout::{Percentage, Rollout};
use relay::{Framing, Relay, RelayError, Timeouts};
use service::Services;
use tokio::sync::{mpsc, oneshot};
use vitals::BlockingPool;

use crate::blocking::{self, Client};

/// Whose value is the key: the same session always takes the same path.
const KEY: &str = "x-session-id";

#[derive(Clone)]
struct App {
    relay: Relay,
    rollout: Rollout,
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
    let percentage = Percentage::try_from(u64::from(args.async_rollout_percentage))?;
    let rollout = Rollout::new(percentage, args.rollout_seed);
    rollout.register(services.metrics());
    let gauge = rollout.clone();
    services.gauge("rollout", move || gauge.snapshot());
    let client = Client::new(timeouts);
    let pool = services.vitals.pool().clone();
    // For whoever may, in an app that is open to others: it changes what every client gets.
    let operators = rollout.routes();
    Ok(Router::new()
        .route("/rollout/stream", get(stream))
        .route("/rollout/v1/chat/completions", post(openai))
        .with_state(App {
            relay,
            rollout,
            client,
            pool,
        })
        .merge(operators))
}

/// `GET /rollout/stream`: numbered chunks, for curl; the query is passed on.
async fn stream(State(app): State<App>, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let path = format!("/slow_stream?{query}");
    relay_to(app, &path, request).await
}

/// The OpenAI API, passed on as it is.
async fn openai(State(app): State<App>, request: Request) -> Response {
    relay_to(app, "/v1/chat/completions", request).await
}

async fn relay_to(app: App, path: &str, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let key = parts.headers.get(KEY).map(HeaderValue::as_bytes);
    let request = async {
        app.relay
            .buffer(app.relay.request(&parts, path, body)?)
            .await
    };
    let new = |request| on_the_loop(&app, path, request);
    let old = |request| on_a_thread(&app, request);
    app.rollout.serve(key, request, new, old).await
}

/// Send, take the byte stream, return it as the body: no thread is held. Until the first byte is there
/// the blocking path can still take over.
async fn on_the_loop(
    app: &App,
    path: &str,
    request: http::Request<Bytes>,
) -> Result<Response, RelayError> {
    let (parts, body) = request.into_parts();
    let request = app.relay.request(&parts, path, Body::from(body))?;
    let permit = app.relay.permit()?;
    let upstream = app.relay.send(request).await?;
    let head = relay::response_head(&upstream);
    let bytes = upstream.bytes_stream();
    let body = app.relay.guard(bytes, permit, Framing::of(&head));
    let body = body.first_byte().await?;
    Ok(Response::from_parts(head, Body::from_stream(body)))
}

/// Send and read on a thread of the pool, which is held until the upstream has sent everything.
async fn on_a_thread(app: &App, request: http::Request<Bytes>) -> Result<Response, RelayError> {
    let permit = app.relay.permit()?;
    let (head_sender, head) = oneshot::channel();
    let (sender, chunks) = mpsc::channel(1);
    let client = app.client.clone();
    app.pool.spawn(move || {
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
    let body = app.relay.guard(bytes, permit, Framing::of(&head));
    Ok(Response::from_parts(head, Body::from_stream(body)))
}
