//! The relay itself: one HTTP client, one set of limits, one ledger.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::request;
use reqwest::{Client, Url};

use crate::body::GuardedBody;
use crate::config_error::{ConfigError, check_upstream};
use crate::ending::{Ending, StreamFigures};
use crate::error::{BoxError, RelayError};
use crate::framing::{Framing, Terminal};
use crate::ledger::{ExchangeLedger, OpenStream};
use crate::permits::{Permit, Permits, Shed};
use crate::protocol::Protocol;
use crate::request::UpstreamRequest;
use crate::snapshot::RelaySnapshot;
use crate::timeouts::Timeouts;
use crate::upstream_client::{UpstreamClient, certificates};

/// Relays requests to one upstream, or to the next one if that fails before its first byte. Clones
/// share its connections, its permits and its counters.
///
/// A host *name* in an upstream's address is looked up by the system's resolver, on up to four threads
/// that all relays of the process share. They are never those of the runtime's blocking pool, so a full
/// pool delays no connection. Addresses are kept for 30 seconds, or until a connection to all of them
/// has failed. A failed lookup is not kept. The time of a lookup counts for [`Timeouts::connect`].
#[derive(Clone, Debug)]
pub struct Relay {
    upstream: Url,
    fallbacks: Arc<[Url]>,
    pub(crate) terminal: Terminal,
    pub(crate) client: Client,
    made_of: UpstreamClient,
    pub(crate) shared: Arc<RelayState>,
}

/// What clones of a relay share.
#[derive(Debug)]
pub(crate) struct RelayState {
    pub(crate) timeouts: Timeouts,
    pub(crate) permits: Permits,
    pub(crate) ledger: Arc<ExchangeLedger>,
}

impl Relay {
    /// A relay to `upstream` (scheme, host, and a path that is put before every request's) with at
    /// most `max_upstream` exchanges at once.
    ///
    /// Makes the one HTTP client that all requests share, without proxies from the environment and
    /// without following redirects; installs rustls' ring provider if the process has none.
    ///
    /// `usize::MAX` is no limit (Tokio's semaphore counts up to 2⁶¹ − 1 on 64 bits). Choose fewer
    /// exchanges than the upstream can take: a refusal here is seen, a queue behind the relay is not.
    ///
    /// **Over HTTP/2 the upstream limits the streams of a connection**, often to 100, and what is beyond
    /// that waits unsent. HTTP/2 is spoken with every upstream that offers it over TLS, unless
    /// [`with_protocol`](Self::with_protocol) says otherwise. With 1000 permits and 100 streams, 900
    /// requests may hold a permit and wait unsent, for [`Timeouts::idle`] at most. Only
    /// [`RelaySnapshot::awaiting_head`] shows them, and a slow upstream looks the same there. So have no
    /// more permits than streams, or say [`Protocol::Http1`].
    ///
    /// # Errors
    /// [`ConfigError`] if the address or the limit cannot work, or the client cannot be made. An address
    /// with a user or a password is refused: set an `authorization` header on each request
    /// ([`Outgoing::header`](crate::Outgoing::header)).
    pub fn new(
        upstream: Url,
        timeouts: Timeouts,
        max_upstream: usize,
    ) -> Result<Self, ConfigError> {
        check_upstream(&upstream)?;
        if max_upstream == 0 {
            return Err(ConfigError::NoPermits);
        }
        let made_of = UpstreamClient::default();
        let client = made_of.build(&timeouts, max_upstream)?;
        let permits = Permits::new(max_upstream);
        let ledger = Arc::new(ExchangeLedger::new());
        Ok(Self {
            upstream,
            fallbacks: Arc::default(),
            terminal: Terminal::default(),
            client,
            made_of,
            shared: Arc::new(RelayState {
                timeouts,
                permits,
                ledger,
            }),
        })
    }

    /// Tries these upstreams, in this order, when the one before fails before its first byte, as
    /// [`send`](Self::send) says. They replace those of an earlier call. Clones made before keep
    /// theirs.
    ///
    /// **Only replicas that share the first one's credentials.** The same request goes to each of
    /// them, with its `Authorization` and `Cookie` headers and all others. Another provider would get
    /// the keys of the first.
    ///
    /// # Errors
    /// [`ConfigError::Upstream`] for an address that cannot work.
    pub fn with_fallbacks(
        mut self,
        upstreams: impl IntoIterator<Item = Url>,
    ) -> Result<Self, ConfigError> {
        self.fallbacks = upstreams.into_iter().collect();
        self.fallbacks.iter().try_for_each(check_upstream)?;
        Ok(self)
    }

    /// Speaks this version of HTTP with all upstreams, on connections of its own. Clones made before
    /// keep theirs; permits and counters stay shared.
    ///
    /// # Errors
    /// [`ConfigError::Client`] if the client cannot be made.
    pub fn with_protocol(mut self, protocol: Protocol) -> Result<Self, ConfigError> {
        self.made_of.protocol = protocol;
        self.made_anew()
    }

    /// Trusts these root certificates beside those of the system, on connections of its own: for an
    /// upstream whose certificate a company's own authority has signed. `pem` is the text of one or
    /// more certificates. They replace those of an earlier call. Clones made before keep theirs; permits
    /// and counters stay shared.
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
    /// wait. The default is the number of permits, and 64 at least.
    #[must_use]
    pub fn with_max_waiting(self, limit: usize) -> Self {
        self.shared.permits.waiting().set_limit(limit);
        self
    }

    /// Reads at most `limit` request bodies at once in [`read`](Self::read), [`buffer`](Self::buffer)
    /// and [`forward`](Self::forward), for all clones; one more is refused. The default is the number of
    /// permits, and 64 at least.
    ///
    /// A body counts only while more of it has to be waited for. One that is there together with its
    /// head always passes. What bodies may take of the memory is another limit:
    /// [`with_body_budget`](Self::with_body_budget).
    #[must_use]
    pub fn with_max_bodies(self, limit: usize) -> Self {
        self.shared.permits.bodies().set_limit(limit);
        self
    }

    /// Lets all request bodies together take at most `bytes` of memory, for all clones. A body that
    /// finds no room is refused with 503; one that is larger than the whole budget, with 413. The
    /// default is [`REQUEST_BODY_BUDGET`](crate::REQUEST_BODY_BUDGET).
    ///
    /// What counts is the memory of the buffers: of bodies that are being read, that wait for a permit,
    /// and that are being sent, until the upstream's head is there. A body from [`buffer`](Self::buffer)
    /// counts until its last copy is dropped, and once more if it is made a request of again. Not counted
    /// are the buffers of client connections, which belong to the server.
    #[must_use]
    pub fn with_body_budget(self, bytes: usize) -> Self {
        self.shared.permits.body_bytes().set_limit(bytes);
        self
    }

    fn made_anew(mut self) -> Result<Self, ConfigError> {
        let RelayState {
            timeouts, permits, ..
        } = &*self.shared;
        self.client = self.made_of.build(timeouts, permits.limit())?;
        Ok(self)
    }

    /// Says whether the event streams that [`forward`](Self::forward) relays end with a terminal event.
    /// The default is that they do, and a stream without it is an error. With [`Terminal::Optional`] a
    /// stream is whole if it ends between two events. Clones made before keep what they had. For a
    /// single request there is [`Outgoing::terminal`](crate::Outgoing::terminal);
    /// [`guard`](Self::guard) goes by its [`Framing`].
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
    /// [`Shed`] if no permit came free in time, or at once if the
    /// [places to wait](Self::with_max_waiting) are taken.
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
    /// client uploads. The whole may take [`Timeouts::total`], and a pause in it [`Timeouts::idle`].
    ///
    /// # Errors
    /// [`RelayError`] if the client's body breaks off, stalls, takes too long or is too large; if it
    /// has to be waited for while [too many](Self::with_max_bodies) others are; or if it finds no room
    /// in the [budget](Self::with_body_budget).
    ///
    /// # Cancel safety
    /// Dropping the future loses what was read of the body.
    pub async fn read(&self, mut request: UpstreamRequest) -> Result<UpstreamRequest, RelayError> {
        self.read_body(&mut request).await?;
        Ok(request)
    }

    /// Reads the client's body and returns the request as it would be sent, for another client than
    /// the relay's own, such as a blocking one. Nothing is sent, no exchange is counted, and the request
    /// is for the first upstream, without fallbacks.
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
        let body = self.read_body(&mut request).await?;
        request.into_http(body)
    }

    async fn read_body(&self, request: &mut UpstreamRequest) -> Result<Bytes, RelayError> {
        let RelayState {
            timeouts, permits, ..
        } = &*self.shared;
        request.read_body(*timeouts, permits, true).await
    }

    /// Watches over the upstream's bytes on their way to the client.
    ///
    /// `permit` is held until the body ends or is dropped. The timeouts apply as [`Timeouts`] says. A
    /// failure is told to the client as `framing` allows.
    ///
    /// # Panics
    /// If called outside a runtime.
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
    /// By then the counters have the ending, the upstream's connection is let go, and nothing of the
    /// relay is locked. The permit of a stream is free again; that of an exchange which ended before its
    /// head is still with the caller of [`send`](Self::send).
    ///
    /// The callback runs on the task that ends the exchange, often in a destructor, so it must not
    /// block. A panic in it is caught and logged (unless the process is built with `panic = "abort"`).
    pub fn on_end(&self, on_end: impl Fn(Ending, StreamFigures) + Send + Sync + 'static) {
        self.shared.ledger.set_on_end(Arc::new(on_end));
    }

    /// The counters now.
    pub fn snapshot(&self) -> RelaySnapshot {
        let RelayState {
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
            body_bytes: permits.body_bytes().taken(),
            refused: permits.refused(),
            awaiting_head: ledger.awaiting_head(),
            streams_open: ledger.streams_open(),
            fallbacks: named(ledger.fallbacks()),
            endings: named(ledger.endings()),
        }
    }
}
