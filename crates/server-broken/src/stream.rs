//! Slow streams exhaust the blocking pool: a thread is held for as long as a stream lasts.

use std::io::Read;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::stream;
use relay::{Framing, Relay, RelayError, Timeouts};
use service::Services;
use tokio::sync::{mpsc, oneshot};
use vitals::BlockingPool;

#[derive(Clone)]
struct Blocking {
    relay: Relay,
    agent: ureq::Agent,
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
    let blocking = Blocking {
        relay,
        agent: agent(timeouts),
        pool: services.vitals.pool().clone(),
    };
    Ok(Router::new()
        .route("/chat/stream", get(chat_stream))
        .route("/v1/chat/completions", post(completions))
        .route("/v1/models", get(completions))
        .with_state(blocking))
}

fn agent(timeouts: Timeouts) -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .timeout_connect(Some(timeouts.connect))
        .timeout_per_read(Some(timeouts.idle))
        .timeout_global(Some(timeouts.total))
        .build()
        .into()
}

/// `GET /chat/stream`: numbered chunks, for curl; the query is passed on.
async fn chat_stream(
    State(blocking): State<Blocking>,
    request: Request,
) -> Result<Response, RelayError> {
    let query = request.uri().query().unwrap_or_default();
    let path = format!("/slow_stream?{query}");
    relay_to(&blocking, &path, request).await
}

/// The OpenAI API, passed on as it is.
async fn completions(
    State(blocking): State<Blocking>,
    request: Request,
) -> Result<Response, RelayError> {
    let path = request.uri().path().to_owned();
    relay_to(&blocking, &path, request).await
}

/// Send and read on a thread of the pool, and hand what comes through a channel to the body. The
/// thread is held until the upstream has sent everything; a client that goes away is noticed only
/// when the next chunk cannot be handed over, and one that goes away while its job is still queued
/// leaves the job behind.
async fn relay_to(
    blocking: &Blocking,
    path: &str,
    request: Request,
) -> Result<Response, RelayError> {
    let Blocking { relay, agent, pool } = blocking.clone();
    let permit = relay.permit()?;
    let (parts, body) = request.into_parts();
    let request = relay.buffer(relay.request(&parts, path, body)?).await?;
    let (head_sender, head) = oneshot::channel();
    let (sender, chunks) = mpsc::channel(1);
    pool.spawn(move || {
        let sent = send(&agent, request);
        let (head, mut reader) = match sent {
            Ok(upstream) => upstream,
            Err(error) => return drop(head_sender.send(Err(error))),
        };
        let _ = head_sender.send(Ok(head));
        let mut buffer = [0; 16 * 1024];
        loop {
            let chunk = match reader.read(&mut buffer) {
                Ok(0) => return,
                Ok(n) => Ok(Bytes::copy_from_slice(&buffer[..n])),
                Err(error) => Err(error),
            };
            let is_last = chunk.is_err();
            let client_is_gone = sender.blocking_send(chunk).is_err();
            if client_is_gone || is_last {
                return;
            }
        }
    });
    let head = head.await.map_err(|gone| RelayError::Upstream {
        source: gone.into(),
    })??;
    let bytes = stream::unfold(chunks, async |mut chunks| {
        Some((chunks.recv().await?, chunks))
    });
    let body = relay.guard(bytes, permit, Framing::of(&head));
    Ok(Response::from_parts(head, Body::from_stream(body)))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the failure on purpose: a thread of the pool waits for the upstream"
)]
fn send(
    agent: &ureq::Agent,
    request: http::Request<Bytes>,
) -> Result<(http::response::Parts, impl Read), RelayError> {
    let (parts, body) = request.into_parts();
    let answer = if body.is_empty() {
        agent.run(http::Request::from_parts(parts, ()))
    } else {
        agent.run(http::Request::from_parts(parts, body.to_vec()))
    };
    let (head, body) = answer.map_err(into_relay_error)?.into_parts();
    let head = relay::client_head(head.status, &head.headers, body.content_length());
    Ok((head, body.into_reader()))
}

fn into_relay_error(error: ureq::Error) -> RelayError {
    match error {
        ureq::Error::Io(source) => RelayError::Connect {
            source: source.into(),
        },
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => RelayError::Connect {
            source: error.into(),
        },
        other => RelayError::Upstream {
            source: other.into(),
        },
    }
}
