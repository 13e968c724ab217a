//! Moves traffic from a blocking path to an async one by percentage.
//!
//! Both paths stay in the app until the old one is removed. A request's key says which it takes: the
//! same key always the same path, and none back while the percentage rises. The percentage comes from
//! a flag, from `ASYNC_ROLLOUT_PERCENTAGE`, and can be changed while the app runs. Every response says
//! which path made it (`X-Stream-Method: async` or `blocking`).
//!
//! ```
//! use axum::Router;
//! use axum::body::{Body, Bytes};
//! use axum::extract::{Request, State};
//! use axum::response::Response;
//! use axum::routing::post;
//! use http::HeaderValue;
//! use relay::rollout::{Percentage, Rollout};
//! use relay::{Framing, Relay, RelayError, Timeouts};
//!
//! #[derive(Clone)]
//! struct App {
//!     relay: Relay,
//!     rollout: Rollout,
//! }
//!
//! async fn complete(State(app): State<App>, request: Request) -> Response {
//!     let (parts, body) = request.into_parts();
//!     let key = parts.headers.get("x-session-id").map(HeaderValue::as_bytes);
//!     // The client's body is read once, and handed to whichever path is asked, if need be to both.
//!     let read = async { app.relay.buffer(app.relay.request(&parts, "/v1/chat", body)?).await };
//!     let rollout = &app.rollout;
//!     rollout.serve(key, read, |it| new_path(&app.relay, it), |it| old_path(it)).await
//! }
//!
//! async fn new_path(relay: &Relay, request: http::Request<Bytes>) -> Result<Response, RelayError> {
//!     let (parts, body) = request.into_parts();
//!     let request = relay.request(&parts, "/v1/chat", Body::from(body))?;
//!     let permit = relay.permit()?;
//!     let upstream = relay.send(request).await?;
//!     let head = relay::response_head(&upstream);
//!     let body = relay.guard(upstream.bytes_stream(), permit, Framing::of(&head));
//!     let body = body.first_byte().await?;            // until here the old path may still take over
//!     Ok(Response::from_parts(head, Body::from_stream(body)))
//! }
//!
//! async fn old_path(request: http::Request<Bytes>) -> Result<Response, RelayError> {
//!     // spawn_blocking, as before
//! #   unimplemented!("{request:?}")
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let percentage = Percentage::from_env()?.unwrap_or(Percentage::NONE);
//! let rollout = Rollout::new(percentage, 0);
//! let operators: Router = rollout.routes();               // GET and PUT /rollout, on a port of its own
//! let relay = Relay::new("http://127.0.0.1:9000".parse()?, Timeouts::default(), 1000)?;
//! let app = App { relay, rollout };
//! let app: Router = Router::new().route("/v1/chat", post(complete)).with_state(app);
//! # let _ = (operators, app);
//! # Ok(())
//! # }
//! ```
//!
//! **What to expect of the first steps: nothing.** A pool of `c` threads that `N` streams hold is
//! exhausted as long as `c` of them take the blocking path. Health recovers only when fewer than `c`
//! do, just above `p* = 1 − c/N`: with 40 streams on 4 threads at 90 %. A step of 5 % shows whether the
//! new path *works*; whether it *helps* is seen beyond `p*`. `in_flight` of the blocking path is the
//! figure to hold against `c`, as long as clients stay: it counts *clients being served*, not threads
//! held. A client that hangs up is gone from it at once, while its blocking job keeps its thread until
//! the next chunk cannot be handed on, or for as long as the upstream is silent. How many threads are
//! held is the pool's to say (`vitals` counts them).
//!
//! **The hash** is part of the contract: see [`bucket`]. A request without a key (or with an empty
//! one) takes the number of such requests before it as its key: shared out by the same percentage, and
//! not sticky.
//!
//! **Falling back.** An error of the async path ([`PathError`]) hands the request to the blocking path
//! as long as nothing of an answer is out, and the response then says why in `X-Stream-Fallback`. Once
//! a byte is out there is no way back, because a stream cannot be begun again in its middle; and an
//! upstream's answer, whatever its status is, is an answer. Beware of the load: when the upstream
//! itself fails at 100 %, every request falls back to the pool that was to be relieved. Where that is
//! worse than an error, let [`PathError::fallback_reason`] return `None`.

mod admin;
mod assignment;
mod body;
mod books;
mod metrics;
mod outcome;
mod path_error;
mod percentage;
mod serve;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use http::HeaderName;

pub use assignment::{StreamMethod, assign, bucket};
pub use books::{CohortSnapshot, RolloutSnapshot};
pub use outcome::Outcome;
pub use path_error::PathError;
pub use percentage::{PERCENTAGE_ENV, Percentage, PercentageError};

use books::Books;

use crate::framing::Terminal;

/// Says in every response which path made it.
pub const STREAM_METHOD: HeaderName = HeaderName::from_static("x-stream-method");

/// Says why the blocking path made a response that the async one was to make; absent otherwise.
pub const STREAM_FALLBACK: HeaderName = HeaderName::from_static("x-stream-fallback");

/// A percentage, a seed, and the books of both cohorts. Clones share all of it.
#[derive(Clone, Debug)]
pub struct Rollout {
    terminal: Terminal,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    percentage: AtomicU8,
    seed: u64,
    without_key: AtomicU64,
    books: Arc<Books>,
}

impl Rollout {
    /// Begins at `percentage`. All processes of an app need the same `seed`, or a key would take one
    /// path here and the other there; another seed for the next rollout spares those who were first in
    /// this one.
    #[must_use]
    pub fn new(percentage: Percentage, seed: u64) -> Self {
        Self {
            terminal: Terminal::default(),
            shared: Arc::new(Shared {
                percentage: AtomicU8::new(percentage.get()),
                seed,
                without_key: AtomicU64::new(0),
                books: Arc::default(),
            }),
        }
    }

    /// Says whether the event streams of *both* paths have a terminal event. Unless told so, one that
    /// ends without it is counted as failed, on whichever path; with [`Terminal::Optional`] it is whole
    /// if it ends between two events. An async path by way of a relay wants the same said to
    /// [`Relay::with_terminal`](crate::Relay::with_terminal) or its framing. Clones made before keep what
    /// they had.
    #[must_use]
    pub fn with_terminal(mut self, terminal: Terminal) -> Self {
        self.terminal = terminal;
        self
    }

    /// The percentage in force.
    #[must_use]
    pub fn percentage(&self) -> Percentage {
        Percentage::clamped(self.shared.percentage.load(Ordering::Relaxed))
    }

    /// Sets the percentage for the requests to come; those that have begun keep their path. One log
    /// line says so.
    pub fn set_percentage(&self, percentage: Percentage) {
        let from = self
            .shared
            .percentage
            .swap(percentage.get(), Ordering::Relaxed);
        if from != percentage.get() {
            tracing::info!(from, to = percentage.get(), "async rollout percentage");
        }
    }

    /// The path that a request with this key takes now. An empty key counts as none.
    ///
    /// [`serve`](Self::serve) asks this itself.
    #[must_use]
    pub fn assign(&self, key: Option<&[u8]>) -> StreamMethod {
        let Shared {
            seed, without_key, ..
        } = &*self.shared;
        match key {
            Some(key) if !key.is_empty() => assign(*seed, key, self.percentage()),
            _ => {
                let n = without_key.fetch_add(1, Ordering::Relaxed);
                assign(*seed, &assignment::keyless(n), self.percentage())
            }
        }
    }

    /// The counters now.
    #[must_use]
    pub fn snapshot(&self) -> RolloutSnapshot {
        let books = self.books();
        RolloutSnapshot {
            percentage: self.percentage().get(),
            seed: self.shared.seed,
            in_flight: StreamMethod::BOTH
                .map(|method| (method, books.in_flight(method)))
                .into(),
            cohorts: StreamMethod::BOTH
                .map(|cohort| (cohort, books.cohort(cohort)))
                .into(),
            fallbacks: books::named(books.fallbacks()),
        }
    }

    fn books(&self) -> &Arc<Books> {
        &self.shared.books
    }
}
