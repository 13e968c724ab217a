//! A rollout at its end: every stream takes the async path, and nothing is left of the blocking one,
//! nor of the percentage that chose between them.

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use relay::{Framing, Relay, RelayError, Timeouts};
use service::Services;

#[derive(Clone)]
struct App {
    relay: Relay,
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
    Ok(Router::new()
        .route("/rollout/stream", get(stream))
        .route("/rollout/v1/chat/completions", post(openai))
        .with_state(App { relay }))
}

/// `GET /rollout/stream`: numbered chunks, for curl; the query is passed on.
async fn stream(State(app): State<App>, request: Request) -> Result<Response, RelayError> {
    let query = request.uri().query().unwrap_or_default();
    let path = format!("/slow_stream?{query}");
    relay_to(app, &path, request).await
}

/// The OpenAI API, passed on as it is.
async fn openai(State(app): State<App>, request: Request) -> Result<Response, RelayError> {
    relay_to(app, "/v1/chat/completions", request).await
}

/// Send, take the byte stream, return it as the body: no thread is held.
async fn relay_to(app: App, path: &str, request: Request) -> Result<Response, RelayError> {
    let (parts, body) = request.into_parts();
    let request = app.relay.request(&parts, path, body)?;
    let request = app.relay.read(request).await?;
    let permit = app.relay.permit()?;
    let upstream = app.relay.send(request).await?;
    let head = relay::response_head(&upstream);
    let bytes = upstream.bytes_stream();
    let body = app.relay.guard(bytes, permit, Framing::of(&head));
    Ok(Response::from_parts(head, Body::from_stream(body)))
}
