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
use crate::upstream_client::{UpstreamClient, certificates};

/// Relays requests to one upstream, or to the next one if that fails before its first byte. Clones
/// share its connections, its permits and its counters.
///
/// A host *name* in an upstream's address is looked up by the system's resolver on threads of the
/// relay's own (four for the process, started when a name is looked up), never on the runtime's
/// blocking pool: a pool that is full delays no connection. Addresses are good for 30 seconds, or until
/// none of them could be connected to; failures are not kept. The time counts for
/// [`Timeouts::connect`].
#[derive(Clone, Debug)]
pub struct Relay {
    upstream: Url,
    fallbacks: Arc<[Url]>,
    pub(crate) terminal: Terminal,
    pub(crate) client: Client,
    made_of: UpstreamClient,
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
    /// Request bodies being read, of those that were not there at once.
    #[serde(default)]
    pub bodies_reading: usize,
    /// Requests refused because no permit was left, or came free in time, or too many waited for one
    /// already, or too many bodies were being read.
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
    #[non_exhaustive]
    Upstream {
        /// The address.
        url: Url,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A relay without a single permit would refuse everything.
    #[error("a limit of 0 upstream exchanges would refuse every request")]
    NoPermits,
    /// What was given as root certificates is none.
    #[error(
        "no certificate can be read: give PEM text, -----BEGIN CERTIFICATE----- and what follows"
    )]
    RootCertificates(#[source] Option<BoxError>),
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
    /// `usize::MAX` is no limit (as Tokio's semaphore counts, 2⁶¹ − 1 on 64 bits). Choose one that is
    /// below what the upstream can take: a limit that refuses here is seen, one behind it is not.
    /// **Over HTTP/2 the upstream's limit on the streams of a connection is such a limit behind it**,
    /// often 100, and HTTP/2 is spoken with any upstream that offers it over TLS, unless
    /// [`with_protocol`](Self::with_protocol) says otherwise. With 1000 permits and 100 streams, 900
    /// requests may hold a permit and wait unsent, for [`Timeouts::idle`] at most; all that shows of
    /// it is [`RelaySnapshot::awaiting_head`], as with a slow upstream. Have no more permits than
    /// streams, or [`Protocol::Http1`].
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
        let made_of = UpstreamClient::default();
        let client = made_of.build(&timeouts, max_upstream)?;
        let permits = Permits::new(max_upstream);
        let ledger = Arc::new(Ledger::new());
        Ok(Self {
            upstream,
            fallbacks: Arc::default(),
            terminal: Terminal::default(),
            client,
            made_of,
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
    /// **Only replicas that share the first one's credentials.** The same request goes to each of
    /// them, with its `Authorization` and `Cookie` headers and whatever else the app has set: another
    /// provider would get the keys of the first.
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
        self.made_of.protocol = protocol;
        self.made_anew()
    }

    /// Trusts these root certificates too, beside those of the system, on connections of its own: for
    /// an upstream whose certificate a company's own authority has signed. `pem` is the text of one or
    /// more certificates. They replace those of an earlier call; clones made before keep theirs, and
    /// share permits and counters all the same.
    ///
    /// # Errors
    /// [`ConfigError::RootCertificates`] if there is none in the text, or one that cannot be read;
    /// [`ConfigError::Client`] if the client cannot be made.
    pub fn with_root_certificates(mut self, pem: &[u8]) -> Result<Self, ConfigError> {
        self.made_of.roots = certificates(pem)?;
        self.made_anew()
    }

    /// Lets at most `limit` requests wait for a permit at once in
    /// [`permit_within`](Self::permit_within), for all clones; one more is refused at once. 0 lets none
    /// wait. Unless told so it is as many as there are permits, and 64 at least.
    #[must_use]
    pub fn with_max_waiting(self, limit: usize) -> Self {
        self.shared.permits.waiting().set_limit(limit);
        self
    }

    /// Reads at most `limit` request bodies at once in [`read`](Self::read), [`buffer`](Self::buffer)
    /// and [`forward`](Self::forward), for all clones; one more is refused. Unless told so it is as many
    /// as there are permits, and 64 at least.
    ///
    /// A body counts from when more of it has to be waited for: one that is there as soon as its head
    /// always passes. So the relay holds no more than
    /// `(bodies + waiting + permits) ·` [`REQUEST_BODY_LIMIT`](crate::REQUEST_BODY_LIMIT), beside what
    /// comes whole in one piece.
    #[must_use]
    pub fn with_max_bodies(self, limit: usize) -> Self {
        self.shared.permits.bodies().set_limit(limit);
        self
    }

    fn made_anew(mut self) -> Result<Self, ConfigError> {
        let Shared {
            timeouts, permits, ..
        } = &*self.shared;
        self.client = self.made_of.build(timeouts, permits.limit())?;
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
    /// [`Shed`] if none came free in time; at once, if as many wait already as
    /// [may](Self::with_max_waiting).
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
    /// [`RelayError`] if the client's body breaks off, stalls, takes too long or is too large, or if it
    /// has to be waited for while as many others are as [may](Self::with_max_bodies) be.
    ///
    /// # Cancel safety
    /// Dropping the future loses what was read of the body.
    pub async fn read(&self, mut request: UpstreamRequest) -> Result<UpstreamRequest, RelayError> {
        let Shared {
            timeouts, permits, ..
        } = &*self.shared;
        let body = request.read_body(*timeouts, Some(permits)).await?;
        request.body = Body::from(body);
        Ok(request)
    }

    /// Reads the client's body and returns the request as it would be sent, for another client than
    /// the relay's own, such as a blocking one. Nothing is sent, and no exchange is counted; it goes
    /// to the first upstream, whatever fallbacks there are.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    /// Dropping the future loses what was read of the body.
    pub async fn buffer(
        &self,
        mut request: UpstreamRequest,
    ) -> Result<http::Request<Bytes>, RelayError> {
        let Shared {
            timeouts, permits, ..
        } = &*self.shared;
        let body = request.read_body(*timeouts, Some(permits)).await?;
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
    /// By then the counters have the ending, the upstream's connection is let go, nothing of the relay
    /// is locked, and the permit of a stream is free again; that of an exchange which ended before its
    /// head is still with whoever sent it. It is called on the task that ends the exchange, often while
    /// that is being dropped, so it must not block. A panic in it is caught and logged, and takes
    /// nothing else along (where a panic unwinds: a process built with `panic = "abort"` ends).
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
            permits_waiting: permits.waiting().taken(),
            bodies_reading: permits.bodies().taken(),
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
