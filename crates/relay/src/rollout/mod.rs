//! Moves traffic from a blocking path to an async one by percentage.
//!
//! Both paths stay in the app until the old one is removed. A request's key decides which path it takes.
//! The same key always takes the same path, and no key moves back while the percentage rises. The
//! percentage comes from a flag or from `ASYNC_ROLLOUT_PERCENTAGE`, and can be changed while the app runs.
//! Every response says which path made it (`X-Stream-Method: async` or `blocking`).
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
//! **Expect nothing of the first steps.** `N` streams exhaust a pool of `c` threads as long as `c` of them
//! take the blocking path. Health recovers only when fewer than `c` do, just above `p* = 1 − c/N`: at 90 %
//! with 40 streams on 4 threads. A step of 5 % shows that the new path *works*; only steps beyond `p*` show
//! that it *helps*.
//!
//! Compare `in_flight` of the blocking path with `c`, as long as clients stay. It counts *clients being
//! served*, not threads held. A client that hangs up leaves it at once, but its blocking job keeps its
//! thread until the upstream sends the next chunk. The pool itself knows how many threads are held
//! (`vitals` counts them).
//!
//! **The hash** is part of the contract: see [`bucket`]. A request with no key, or an empty one, gets as
//! its key the number of such requests before it. Such requests are shared out by the same percentage,
//! and are not sticky.
//!
//! **Falling back.** After an error of the async path ([`PathError`]) the request goes to the blocking
//! path, as long as nothing of an answer is out; the response says why in `X-Stream-Fallback`. After the
//! first byte there is no way back, because a stream cannot begin again in its middle. An answer of the
//! upstream is final, whatever its status. Beware of the load: if the upstream itself fails at 100 %, every
//! request falls back to the pool that was to be relieved. If that is worse than an error, let
//! [`PathError::fallback_reason`] return `None`.

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

use books::CohortBooks;

use crate::framing::Terminal;

/// The header that says in every response which path made it.
pub const STREAM_METHOD: HeaderName = HeaderName::from_static("x-stream-method");

/// The header that says why the blocking path made a response of the async cohort; absent otherwise.
pub const STREAM_FALLBACK: HeaderName = HeaderName::from_static("x-stream-fallback");

/// A percentage, a seed, and the books of both cohorts. Clones share all of it.
#[derive(Clone, Debug)]
pub struct Rollout {
    terminal: Terminal,
    shared: Arc<RolloutState>,
}

#[derive(Debug)]
struct RolloutState {
    percentage: AtomicU8,
    seed: u64,
    without_key: AtomicU64,
    books: Arc<CohortBooks>,
}

impl Rollout {
    /// Begins at `percentage`. All processes of an app need the same `seed`, or a key would take
    /// different paths in them. Another seed for the next rollout lets other users be the first.
    #[must_use]
    pub fn new(percentage: Percentage, seed: u64) -> Self {
        Self {
            terminal: Terminal::default(),
            shared: Arc::new(RolloutState {
                percentage: AtomicU8::new(percentage.get()),
                seed,
                without_key: AtomicU64::new(0),
                books: Arc::default(),
            }),
        }
    }

    /// Says whether the event streams of *both* paths end with a terminal event. The default is that
    /// they do, and a stream without it counts as failed. With [`Terminal::Optional`] a stream is whole
    /// if it ends between two events. Say the same to the relay of the async path
    /// ([`Relay::with_terminal`](crate::Relay::with_terminal)) or to its framing. Clones made before keep
    /// what they had.
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

    /// Sets the percentage for the requests to come, and logs a change. Requests that have begun keep
    /// their path.
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
    /// [`serve`](Self::serve) calls this itself.
    #[must_use]
    pub fn assign(&self, key: Option<&[u8]>) -> StreamMethod {
        let RolloutState {
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

    fn books(&self) -> &Arc<CohortBooks> {
        &self.shared.books
    }
}
