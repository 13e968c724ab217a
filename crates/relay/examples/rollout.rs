//! An app with an old path that blocks a thread and a new one that does not, and a percentage between
//! them.
//!
//! ```sh
//! ASYNC_ROLLOUT_PERCENTAGE=5 cargo run --release -p relay --example rollout -- http://127.0.0.1:9000
//! curl -iN -H 'x-session-id: ann' 'http://127.0.0.1:8000/slow_stream?chunks=5&interval=200ms'
//! curl -X PUT 'http://127.0.0.1:8001/rollout?percentage=50'
//! ```

use std::error::Error;
use std::io::Read;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use futures_util::stream;
use http::HeaderValue;
use relay::rollout::{Percentage, Rollout};
use relay::{Framing, Relay, RelayError, Timeouts};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

#[derive(Clone)]
struct App {
    relay: Relay,
    rollout: Rollout,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let upstream = std::env::args().nth(1);
    let upstream = upstream.unwrap_or_else(|| "http://127.0.0.1:9000".to_owned());
    let relay = Relay::new(upstream.parse()?, Timeouts::default(), 1000)?;
    let percentage = Percentage::from_env()?.unwrap_or(Percentage::NONE);
    let rollout = Rollout::new(percentage, 0);

    let operators = rollout.routes();
    let app = Router::new()
        .route("/slow_stream", get(slow_stream))
        .with_state(App { relay, rollout });
    let ports = (
        TcpListener::bind("127.0.0.1:8000").await?,
        TcpListener::bind("127.0.0.1:8001").await?,
    );
    println!("{percentage} async; the app on :8000, GET and PUT /rollout on :8001");
    tokio::try_join!(axum::serve(ports.0, app), axum::serve(ports.1, operators))?;
    Ok(())
}

async fn slow_stream(State(App { relay, rollout }): State<App>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let key = parts.headers.get("x-session-id").map(HeaderValue::as_bytes);
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let read = async { relay.buffer(relay.request(&parts, path, body)?).await };
    let new = |request| new_path(&relay, path, request);
    rollout.serve(key, read, new, old_path).await
}

async fn new_path(
    relay: &Relay,
    path: &str,
    request: http::Request<Bytes>,
) -> Result<Response, RelayError> {
    let (parts, body) = request.into_parts();
    let request = relay.request(&parts, path, Body::from(body))?;
    let permit = relay.permit()?;
    let upstream = relay.send(request).await?;
    let head = relay::response_head(&upstream);
    let body = relay.guard(upstream.bytes_stream(), permit, Framing::of(&head));
    let body = body.first_byte().await?;
    Ok(Response::from_parts(head, Body::from_stream(body)))
}

/// What the app did before: a thread of the blocking pool for as long as the stream lasts.
async fn old_path(request: http::Request<Bytes>) -> Result<Response, RelayError> {
    let answer = tokio::task::spawn_blocking(move || send_and_wait(request)).await;
    let (head, body) = answer.map_err(broken)?.map_err(broken)?.into_parts();
    let head = relay::client_head(head.status, &head.headers, body.content_length());
    let (sender, chunks) = mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        let mut reader = body.into_reader();
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = reader.read(&mut buffer);
            let is_over = !matches!(read, Ok(1..));
            let chunk = read.map(|length| Bytes::copy_from_slice(&buffer[..length]));
            if sender.blocking_send(chunk).is_err() || is_over {
                return;
            }
        }
    });
    let bytes = stream::unfold(chunks, async |mut chunks| {
        Some((chunks.recv().await?, chunks))
    });
    Ok(Response::from_parts(head, Body::from_stream(bytes)))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the old path, on a thread that may block"
)]
fn send_and_wait(request: http::Request<Bytes>) -> Result<http::Response<ureq::Body>, ureq::Error> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    agent.run(request.map(|body| body.to_vec()))
}

fn broken(error: impl Into<relay::BoxError>) -> RelayError {
    let source = error.into();
    RelayError::Upstream { source }
}
