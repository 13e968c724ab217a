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
//! 1000 is the number of exchanges at once. Over HTTP/2, which is spoken with any upstream that offers
//! it over TLS, an upstream often takes no more than 100 from one client, and the rest waits unsent
//! behind them: say as many as it takes, or [`Protocol::Http1`]; see [`Relay::new`].
//!
//! What [`Relay::forward`] does is short: send, take the byte stream, return it as the body; dropping
//! the body then drops the upstream's connection. What is easily forgotten stands around that: a
//! permit that lives as long as the *body*, timeouts, and an ending that the client can see. Spelled
//! out, for whoever has something to do in between (`forward` also refuses before it reads a body, if
//! no permit is left by then):
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
//! ¹ Event streams are taken for those of a language model, which say when they are whole. Any other
//! event stream is damaged by that: for those, say [`Relay::with_terminal`] or [`Outgoing::terminal`]
//! with [`Terminal::Optional`], and a clean end between two events is a whole stream.
//!
//! To release the upstream is to close its connection, or over HTTP/2 to reset the stream of that
//! client alone. HTTP/2 is spoken where TLS negotiates it, or where [`Protocol`] says so; an upstream
//! behind a certificate authority of one's own takes [`Relay::with_root_certificates`].
//!
//! With [fallbacks](Relay::with_fallbacks), the next upstream is asked while nothing of an answer is
//! out: replicas with the same credentials only, as it gets the same `Authorization` and `Cookie`.
//! Whoever would rather wait for a permit than be refused has [`Relay::permit_within`].
//!
//! Everything that clients can make more of has a limit: exchanges, those who
//! [wait](Relay::with_max_waiting) for one, and [bodies](Relay::with_max_bodies) that are being read;
//! beyond it a client is refused with 503 ([`Shed`]).
//!
//! [`rollout`] moves traffic from a blocking path to a relayed one by percentage.
//!
//! Each exchange ends as exactly one [`Ending`], in [`Relay::snapshot`], in the metrics, and in the
//! callback of [`Relay::on_end`].
//!
//! Types of [`axum`] 0.8, [`http`] 1, [`bytes`] 1, [`reqwest`] 0.13 and [`prometheus_client`] 0.25 stand
//! in signatures and are part of the API: another major version of one of them is one of this crate.
//! The last two are exported again, so that an app has the right ones. Which TLS library reqwest is
//! built with, and with which features, is not part of it. What is `#[non_exhaustive]` may grow.

mod body;
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
mod places;
mod protocol;
mod relay;
mod request;
mod resolver;
pub mod rollout;
mod send;
mod sse;
mod timeouts;
mod upstream_client;

pub use body::GuardedBody;
pub use ending::{Ending, StreamFigures};
pub use error::{BoxError, RelayError, error_event, error_response};
pub use framing::{Framing, Terminal};
pub use headers::{client_head, response_head};
pub use metrics::register_relays;
pub use outgoing::Outgoing;
pub use permits::{Permit, Scarce, Shed};
pub use prometheus_client;
pub use protocol::Protocol;
pub use relay::{ConfigError, Relay, RelaySnapshot};
pub use request::{REQUEST_BODY_LIMIT, UpstreamRequest};
pub use reqwest;
pub use reqwest::Url;
pub use sse::{Said, SseTail};
pub use timeouts::Timeouts;
