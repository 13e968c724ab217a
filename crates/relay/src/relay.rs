//! The relay itself: one client, one limit, one set of books.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::request;
use reqwest::{Client, Url};
use serde::{Deserialize, Serialize};

use crate::body::GuardedBody;
use crate::ending::{Ending, StreamFigures};
use crate::error::{BoxError, RelayError};
use crate::framing::{Framing, Terminal};
use crate::ledger::{Ledger, OpenStream};
use crate::permits::{Permit, Permits, Shed};
use crate::protocol::Protocol;
use crate::request::UpstreamRequest;
use crate::timeouts::Timeouts;

/// Relays requests to one upstream, or to the next one if that fails before its first byte. Clones
/// share its connections, its permits and its counters.
///
/// A host *name* in the upstream's address is looked up by `getaddrinfo` on the runtime's blocking
/// pool; where that pool may be full, give an IP address.
#[derive(Clone, Debug)]
pub struct Relay {
    upstream: Url,
    fallbacks: Arc<[Url]>,
    pub(crate) terminal: Terminal,
    pub(crate) client: Client,
    pub(crate) shared: Arc<Shared>,
}

/// The relay's counters at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RelaySnapshot {
    /// Permits held now.
    pub permits_in_use: usize,
    /// Permits there are.
    pub permits_limit: usize,
    /// Most permits ever held at once.
    pub permits_peak: usize,
    /// Requests that wait for a permit.
    pub permits_waiting: usize,
    /// Requests refused because no permit was left, or came free in time.
    pub refused: u64,
    /// Requests whose response head has not come, or with fallbacks the first byte. Over HTTP/2 those
    /// are among them that cannot be sent yet, because the connection has all the streams that the
    /// upstream allows.
    pub awaiting_head: usize,
    /// Streams being relayed.
    pub streams_open: usize,
    /// How many upstreams were given up for the next one, by the [`Ending::label`] that the exchange
    /// would have had without a next one; every label is there.
    pub fallbacks: BTreeMap<String, u64>,
    /// How many exchanges ended in which way, by [`Ending::label`]; every label is there.
    pub endings: BTreeMap<String, u64>,
}

/// Why a relay cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The upstream is not an address to relay to.
    #[error("`{url}` is no upstream: {reason}")]
    Upstream {
        /// The address.
        url: Url,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A relay without a single permit would refuse everything.
    #[error("a limit of 0 upstream exchanges would refuse every request")]
    NoPermits,
    /// The HTTP client cannot be made, as when the system's TLS roots cannot be read.
    #[error("the upstream's HTTP client cannot be made")]
    Client(#[source] BoxError),
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) timeouts: Timeouts,
    pub(crate) permits: Permits,
    pub(crate) ledger: Arc<Ledger>,
}

impl Relay {
    /// A relay to `upstream` (scheme, host, and a path that is put before every request's) with at
    /// most `max_upstream` exchanges at once.
    ///
    /// Makes the one HTTP client that all requests share, without proxies from the environment and
    /// without following redirects; installs rustls' ring provider if the process has none.
    ///
    /// # Errors
    /// [`ConfigError`] if the address or the limit cannot work, or the client cannot be made.
    pub fn new(
        upstream: Url,
        timeouts: Timeouts,
        max_upstream: usize,
    ) -> Result<Self, ConfigError> {
        check(&upstream)?;
        if max_upstream == 0 {
            return Err(ConfigError::NoPermits);
        }
        let client = client(&timeouts, Protocol::default(), max_upstream)?;
        let permits = Permits::new(max_upstream);
        let ledger = Arc::new(Ledger::new());
        Ok(Self {
            upstream,
            fallbacks: Arc::default(),
            terminal: Terminal::default(),
            client,
            shared: Arc::new(Shared {
                timeouts,
                permits,
                ledger,
            }),
        })
    }

    /// Tries these upstreams, in this order, when the one before fails before its first byte, as
    /// [`send`](Self::send) says. They replace those of an earlier call, and clones made before keep
    /// theirs.
    ///
    /// # Errors
    /// [`ConfigError::Upstream`] for an address that cannot work.
    pub fn with_fallbacks(
        mut self,
        upstreams: impl IntoIterator<Item = Url>,
    ) -> Result<Self, ConfigError> {
        self.fallbacks = upstreams.into_iter().collect();
        self.fallbacks.iter().try_for_each(check)?;
        Ok(self)
    }

    /// Speaks this version of HTTP with all upstreams, on connections of its own; clones made before
    /// keep theirs, and share permits and counters all the same.
    ///
    /// # Errors
    /// [`ConfigError::Client`] if the client cannot be made.
    pub fn with_protocol(mut self, protocol: Protocol) -> Result<Self, ConfigError> {
        let Shared {
            timeouts, permits, ..
        } = &*self.shared;
        self.client = client(timeouts, protocol, permits.limit())?;
        Ok(self)
    }

    /// Says whether the event streams that [`forward`](Self::forward) relays have a terminal event; a
    /// relay that nobody has told so takes its absence for an error. Without one, a stream is whole if
    /// it ends between two events. Clones made before keep what they had; a single request may differ
    /// by [`Outgoing::terminal`](crate::Outgoing::terminal), and [`guard`](Self::guard) goes by its
    /// [`Framing`].
    #[must_use]
    pub fn with_terminal(mut self, terminal: Terminal) -> Self {
        self.terminal = terminal;
        self
    }

    /// The limits in force.
    pub fn timeouts(&self) -> Timeouts {
        self.shared.timeouts
    }

    /// Takes the right to one exchange, or refuses at once.
    ///
    /// # Errors
    /// [`Shed`] if all permits are in use.
    pub fn permit(&self) -> Result<Permit, Shed> {
        self.shared.permits.acquire()
    }

    /// Takes the right to one exchange, or waits for one at most `limit`, behind all who wait already
    /// (first in, first out). [`permit`](Self::permit) overtakes nobody who waits.
    ///
    /// # Errors
    /// [`Shed`] if none came free in time.
    ///
    /// # Cancel safety
    /// Dropping the future loses the place in the queue, and no permit.
    pub async fn permit_within(&self, limit: Duration) -> Result<Permit, Shed> {
        self.shared.permits.acquire_within(limit).await
    }

    /// Makes the upstream's request of a client's: its method, end-to-end headers and body, at
    /// `path_and_query` under the configured upstream.
    ///
    /// # Errors
    /// [`RelayError::InvalidRequest`] if it cannot be relayed.
    pub fn request(
        &self,
        parts: &request::Parts,
        path_and_query: &str,
        body: Body,
    ) -> Result<UpstreamRequest, RelayError> {
        UpstreamRequest::new(&self.upstream, &self.fallbacks, parts, path_and_query, body)
    }

    /// Reads the client's body to its end, so that a permit taken after it is not held while the
    /// client uploads. It may take [`Timeouts::total`] as a whole, and pause for [`Timeouts::idle`].
    ///
    /// # Errors
    /// [`RelayError`] if the client's body breaks off, stalls, takes too long or is too large.
    ///
    /// # Cancel safety
    /// Dropping the future loses what was read of the body.
    pub async fn read(&self, mut request: UpstreamRequest) -> Result<UpstreamRequest, RelayError> {
        let body = request.read_body(self.shared.timeouts).await?;
        request.body = Body::from(body);
        Ok(request)
    }

    /// Reads the client's body and returns the request as it would be sent, for another client than
    /// the relay's own, such as a blocking one. Nothing is sent, and no exchange is counted; it goes
    /// to the first upstream, whatever fallbacks there are.
    ///
    /// # Errors
    /// [`RelayError`] if the client's body breaks off, stalls or is too large.
    ///
    /// # Cancel safety
    /// Dropping the future loses what was read of the body.
    pub async fn buffer(
        &self,
        mut request: UpstreamRequest,
    ) -> Result<http::Request<Bytes>, RelayError> {
        let body = request.read_body(self.shared.timeouts).await?;
        request.into_http(body)
    }

    /// Watches over the upstream's bytes on their way to the client.
    ///
    /// `permit` is held until the body ends or is dropped; the timeouts apply as [`Timeouts`] says;
    /// a failure is told as `framing` allows. Must be called inside a runtime.
    pub fn guard<S, E>(&self, bytes: S, permit: Permit, framing: Framing) -> GuardedBody
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        let upstream = Box::pin(bytes.map(|chunk| chunk.map_err(Into::into)));
        let book = OpenStream::enter(Arc::clone(&self.shared.ledger), permit.granted());
        GuardedBody::new(upstream, permit, framing, self.shared.timeouts, book)
    }

    /// Calls `on_end` once for every exchange that ends, in place of any earlier callback.
    ///
    /// It is called on the task that ends the stream, often while that is being dropped: it must
    /// neither block nor panic.
    pub fn on_end(&self, on_end: impl Fn(Ending, StreamFigures) + Send + Sync + 'static) {
        self.shared.ledger.set_on_end(Arc::new(on_end));
    }

    /// The counters now.
    pub fn snapshot(&self) -> RelaySnapshot {
        let Shared {
            permits, ledger, ..
        } = &*self.shared;
        let named = |counts: BTreeMap<&str, u64>| {
            let counts = counts.into_iter();
            counts
                .map(|(label, count)| (label.to_owned(), count))
                .collect()
        };
        RelaySnapshot {
            permits_in_use: permits.in_use(),
            permits_limit: permits.limit(),
            permits_peak: permits.peak(),
            permits_waiting: permits.waiting(),
            refused: permits.refused(),
            awaiting_head: ledger.awaiting_head(),
            streams_open: ledger.streams_open(),
            fallbacks: named(ledger.fallbacks()),
            endings: named(ledger.endings()),
        }
    }
}

fn check(upstream: &Url) -> Result<(), ConfigError> {
    let reason = if !matches!(upstream.scheme(), "http" | "https") {
        "its scheme is neither http nor https"
    } else if upstream.query().is_some() || upstream.fragment().is_some() {
        "it has a query or a fragment, and those come from each request"
    } else {
        return Ok(());
    };
    Err(ConfigError::Upstream {
        url: upstream.clone(),
        reason,
    })
}

fn client(timeouts: &Timeouts, protocol: Protocol, permits: usize) -> Result<Client, ConfigError> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Lost only to another thread that installs one at the same moment.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let builder = Client::builder()
        .connect_timeout(timeouts.connect)
        .tcp_nodelay(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        // Byte for byte, even if another crate of the build turns decompression on.
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate();
    let client = protocol.configure(builder, permits).build();
    client.map_err(|error| ConfigError::Client(error.into()))
}
