//! What the forms of `disconnect` share: routes, relay, gauge. Nothing of the lesson: who holds what,
//! and for how long, is.

use anyhow::Context;
use axum::Router;
use axum::extract::Request;
use axum::http::Uri;
use axum::response::Response;
use axum::routing::{get, post};
use relay::{Relay, RelayError, Timeouts, Url};
use service::{ServerArgs, Services};

use crate::protocol::spoken;

/// The routes of the failure, with `relay_to` as its cure: it gets the path at the upstream.
pub(crate) fn mount<F, R>(services: &mut Services, relay_to: F) -> anyhow::Result<Router>
where
    F: Fn(Relay, String, Request) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<Response, RelayError>> + Send + 'static,
{
    let relay = relay(&services.args)?;
    relay.register(services.metrics().sub_registry_with_prefix("disconnect"));
    let gauge = relay.clone();
    services.gauge("disconnect", move || gauge.snapshot());
    let handler =
        move |request: Request| relay_to(relay.clone(), path_at_upstream(request.uri()), request);
    Ok(Router::new()
        .route("/disconnect/stream", get(handler.clone()))
        .route("/disconnect/v1/chat/completions", post(handler)))
}

fn relay(args: &ServerArgs) -> anyhow::Result<Relay> {
    let timeouts = Timeouts {
        connect: args.connect_timeout,
        idle: args.idle_timeout,
        total: args.total_timeout,
    };
    let upstream = args.upstream.parse().context("--upstream")?;
    let fallbacks = args.fallback.iter().map(|url| url.parse());
    let fallbacks: Vec<Url> = fallbacks.collect::<Result<_, _>>().context("--fallback")?;
    let relay = Relay::new(upstream, timeouts, args.max_upstream as usize)?;
    let relay = relay.with_protocol(spoken(args))?;
    Ok(relay.with_fallbacks(fallbacks)?)
}

/// Numbered chunks, for curl, with the query passed on; the OpenAI API as it is.
fn path_at_upstream(uri: &Uri) -> String {
    match uri.path().strip_prefix("/disconnect") {
        Some("/stream") => format!("/slow_stream?{}", uri.query().unwrap_or_default()),
        path => path.unwrap_or_default().to_owned(),
    }
}
