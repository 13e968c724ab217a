//! Relays a streaming upstream response through an axum app without holding a thread.
//!
//! ```
//! use axum::extract::{Request, State};
//! use axum::response::Response;
//! use axum::{Router, routing::post};
//! use relay::{Relay, Timeouts};
//!
//! async fn complete(State(relay): State<Relay>, request: Request) -> Response {
//!     relay.forward(request, "/v1/chat/completions").await
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let upstream = "http://127.0.0.1:8000".parse()?;
//! let relay = Relay::new(upstream, Timeouts::default(), 1000)?;
//! let app: Router = Router::new().route("/v1/chat/completions", post(complete)).with_state(relay);
//! # let _ = app;
//! # Ok(())
//! # }
//! ```
//!
//! A request of the app's own, with any method, headers and JSON body, is made by [`Relay::build`].
//!
//! 1000 is the number of exchanges at once. HTTP/2 is spoken with any upstream that offers it over TLS,
//! and over HTTP/2 an upstream often takes no more than 100 exchanges from one client; the others wait
//! unsent. Say as many as the upstream takes, or [`Protocol::Http1`]; see [`Relay::new`].
//!
//! What [`Relay::forward`] does is short: it sends, takes the byte stream and returns it as the body.
//! Dropping the body drops the upstream's connection. Three things around that are easily forgotten: a
//! permit that lives as long as the *body*, timeouts, and an ending that the client can see. This is
//! `forward` spelled out, for an app that has something to do in between (`forward` also refuses before
//! it reads a body, if no permit is left by then):
//!
//! ```
//! use axum::body::Body;
//! use axum::extract::{Request, State};
//! use axum::response::Response;
//! use relay::{Framing, Relay, RelayError};
//!
//! async fn complete(State(relay): State<Relay>, request: Request) -> Result<Response, RelayError> {
//!     let (parts, body) = request.into_parts();
//!     let request = relay.request(&parts, "/v1/chat/completions", body)?;
//!     let request = relay.read(request).await?;           // the body, before a permit is taken
//!     let permit = relay.permit()?;                       // 503 at the limit, never a silent wait
//!     let upstream = relay.send(request).await?;          // connect and head timeouts
//!     let head = relay::response_head(&upstream);
//!     let bytes = upstream.bytes_stream();                // as they arrive
//!     let body = relay.guard(bytes, permit, Framing::of(&head));
//!     Ok(Response::from_parts(head, Body::from_stream(body)))
//! }
//! ```
//!
//! | what happens | before the head | after it, event stream | after it, anything else |
//! |---|---|---|---|
//! | no connection, protocol broken | 502 | error event, clean end | transfer broken off |
//! | silent, or too long as a whole | 504 | error event, clean end | transfer broken off |
//! | upstream answers ≥ 400 | passed through | – | – |
//! | ends without its terminal event ¹, or its announced end | – | error event, clean end | transfer broken off |
//! | client stops reading | – | upstream released at the total timeout | upstream released at the total timeout |
//! | client hangs up | upstream released | upstream released | upstream released |
//!
//! ¹ The relay expects the event streams of language models, which end with a terminal event. Any other
//! event stream would get an error event at its end. For those, say [`Relay::with_terminal`] or
//! [`Outgoing::terminal`] with [`Terminal::Optional`]; a clean end between two events is then a whole
//! stream.
//!
//! To release the upstream is to close its connection, or over HTTP/2 to reset the stream of that
//! client alone. HTTP/2 is spoken where TLS negotiates it, or where [`Protocol`] says so. An upstream
//! whose certificate comes from your own authority needs [`Relay::with_root_certificates`].
//!
//! With [fallbacks](Relay::with_fallbacks), the next upstream is asked while nothing of an answer is
//! out. It gets the same `Authorization` and `Cookie`, so name only replicas with the same credentials.
//! A request that should wait for a permit, and not be refused, uses [`Relay::permit_within`].
//!
//! Everything that clients can make more of has a limit, and beyond it a client is refused with 503
//! ([`Shed`]): exchanges, requests that [wait](Relay::with_max_waiting) for one,
//! [bodies](Relay::with_max_bodies) that are being read, and the [memory](Relay::with_body_budget) of
//! all request bodies together, 256 MiB unless you say otherwise.
//!
//! [`rollout`] moves traffic from a blocking path to a relayed one by percentage.
//!
//! Each exchange ends as exactly one [`Ending`], in [`Relay::snapshot`], in the metrics, and in the
//! callback of [`Relay::on_end`].
//!
//! Types of [`axum`] 0.8, [`http`] 1, [`bytes`] 1, [`reqwest`] 0.13 and [`prometheus_client`] 0.25 are
//! part of the API, because they stand in signatures. A new major version of one of them is a new major
//! version of this crate. `reqwest` and `prometheus_client` are exported again, so that an app has the
//! right ones. The TLS library and the features that reqwest is built with are not part of the API. What
//! is `#[non_exhaustive]` may grow.

mod body;
mod config_error;
mod ending;
mod error;
mod fallback;
mod forward;
mod framing;
mod headers;
mod ledger;
mod metrics;
mod outgoing;
mod permits;
mod protocol;
mod quota;
mod relay;
mod request;
mod request_body;
mod resolver;
pub mod rollout;
mod send;
mod snapshot;
mod sse;
mod timeouts;
mod upstream_client;

pub use body::GuardedBody;
pub use config_error::ConfigError;
pub use ending::{Ending, StreamFigures};
pub use error::{BoxError, RelayError, error_event, error_response};
pub use framing::{Framing, Terminal};
pub use headers::{client_head, response_head};
pub use metrics::register_relays;
pub use outgoing::Outgoing;
pub use permits::{Permit, REQUEST_BODY_BUDGET, Scarce, Shed};
pub use prometheus_client;
pub use protocol::Protocol;
pub use relay::Relay;
pub use request::{REQUEST_BODY_LIMIT, UpstreamRequest};
pub use reqwest;
pub use reqwest::Url;
pub use snapshot::RelaySnapshot;
pub use sse::{Said, SseTail};
pub use timeouts::Timeouts;
