//! Slow streams, cured: the upstream's bytes pass through the event loop and hold no thread.

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use relay::{Framing, Relay, RelayError, Timeouts};
use service::Services;

use crate::protocol::spoken;

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let args = &services.args;
    let timeouts = Timeouts {
        connect: args.connect_timeout,
        idle: args.idle_timeout,
        total: args.total_timeout,
    };
    let upstream = args.upstream.parse().context("--upstream")?;
    let relay = Relay::new(upstream, timeouts, args.max_upstream as usize)?;
    let relay = relay.with_protocol(spoken(args))?;
    relay.register(services.metrics());
    let gauge = relay.clone();
    services.gauge("relay", move || gauge.snapshot());
    Ok(Router::new()
        .route("/chat/stream", get(chat_stream))
        .route("/v1/chat/completions", post(openai))
        .route("/v1/models", get(openai))
        .with_state(relay))
}

/// `GET /chat/stream`: numbered chunks, for curl; the query is passed on.
async fn chat_stream(State(relay): State<Relay>, request: Request) -> Result<Response, RelayError> {
    let query = request.uri().query().unwrap_or_default();
    let path = format!("/slow_stream?{query}");
    relay_to(relay, &path, request).await
}

/// The OpenAI API, passed on as it is.
async fn openai(State(relay): State<Relay>, request: Request) -> Result<Response, RelayError> {
    let path = request.uri().path().to_owned();
    relay_to(relay, &path, request).await
}

/// Send, take the byte stream, return it as the body. When the client goes away the body is dropped,
/// and with it the upstream's connection.
async fn relay_to(relay: Relay, path: &str, request: Request) -> Result<Response, RelayError> {
    let (parts, body) = request.into_parts();
    let request = relay.read(relay.request(&parts, path, body)?).await?;
    let permit = relay.permit()?;
    let upstream = relay.send(request).await?;
    let head = relay::response_head(&upstream);
    let bytes = upstream.bytes_stream();
    let body = relay.guard(bytes, permit, Framing::of(&head));
    Ok(Response::from_parts(head, Body::from_stream(body)))
}
