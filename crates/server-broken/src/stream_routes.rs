//! The routes and the relay of the variants of `stream`, which differ in how they relay only. The
//! plain form spells this out, because its twin in `server-fixed` does.

use anyhow::Context;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use relay::{Relay, RelayError, Timeouts, Url};
use service::Services;

/// What every variant relays to, and with.
pub(crate) struct Upstream {
    pub(crate) url: Url,
    pub(crate) timeouts: Timeouts,
    pub(crate) relay: Relay,
}

/// How a variant passes a request on to `path` of the upstream.
pub(crate) trait RelayTo: Clone + Send + Sync + 'static {
    fn relay_to(
        self,
        path: &str,
        request: Request,
    ) -> impl Future<Output = Result<Response, RelayError>> + Send;
}

/// The upstream of the flags, and a relay to it with its metrics and its gauge.
pub(crate) fn upstream(services: &mut Services) -> anyhow::Result<Upstream> {
    let url = url(services)?;
    upstream_at(services, url)
}

/// The upstream's address, as the flags have it.
pub(crate) fn url(services: &Services) -> anyhow::Result<Url> {
    services.args.upstream.parse().context("--upstream")
}

/// The upstream at `url`, and a relay to it with its metrics and its gauge.
pub(crate) fn upstream_at(services: &mut Services, url: Url) -> anyhow::Result<Upstream> {
    let args = &services.args;
    let timeouts = Timeouts {
        connect: args.connect_timeout,
        idle: args.idle_timeout,
        total: args.total_timeout,
    };
    let relay = Relay::new(url.clone(), timeouts, args.max_upstream as usize)?;
    relay.register(services.metrics());
    let gauge = relay.clone();
    services.gauge("relay", move || gauge.snapshot());
    Ok(Upstream {
        url,
        timeouts,
        relay,
    })
}

/// The routes of `stream`, relayed as `app` does it.
pub(crate) fn router<A: RelayTo>(app: A) -> Router {
    Router::new()
        .route("/chat/stream", get(chat_stream::<A>))
        .route("/v1/chat/completions", post(openai::<A>))
        .route("/v1/models", get(openai::<A>))
        .with_state(app)
}

/// `GET /chat/stream`: numbered chunks, for curl; the query is passed on.
async fn chat_stream<A: RelayTo>(
    State(app): State<A>,
    request: Request,
) -> Result<Response, RelayError> {
    let query = request.uri().query().unwrap_or_default();
    let path = format!("/slow_stream?{query}");
    app.relay_to(&path, request).await
}

/// The OpenAI API, passed on as it is.
async fn openai<A: RelayTo>(
    State(app): State<A>,
    request: Request,
) -> Result<Response, RelayError> {
    let path = request.uri().path().to_owned();
    app.relay_to(&path, request).await
}
