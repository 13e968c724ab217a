//! A request that is being made, with the relay that it goes through.

use std::time::Duration;

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;

use crate::error::RelayError;
use crate::framing::Terminal;
use crate::headers::request_headers;
use crate::relay::Relay;
use crate::request::UpstreamRequest;

/// A request to the upstream, made by [`Relay::build`] or [`Relay::build_from`].
///
/// A part that cannot be made, such as a header with a line break in it, is an error of
/// [`forward`](Self::forward).
#[derive(Debug)]
#[must_use = "it is not sent before `forward`"]
pub struct Outgoing {
    pub(crate) relay: Relay,
    pub(crate) request: Result<UpstreamRequest, RelayError>,
    pub(crate) permit_within: Option<Duration>,
    pub(crate) terminal: Terminal,
}

impl Outgoing {
    pub(crate) fn new(relay: Relay, request: Result<UpstreamRequest, RelayError>) -> Self {
        let terminal = relay.terminal;
        Self {
            relay,
            request,
            permit_within: None,
            terminal,
        }
    }

    /// Sets a header, in place of all of that name.
    pub fn header<N, V>(self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        self.change(|request| {
            let name = name
                .try_into()
                .map_err(|_| invalid("a header has no name"))?;
            let value = value.try_into();
            let value =
                value.map_err(|_| invalid(&format!("`{name}` has no value for a header")))?;
            request.headers_mut().insert(name, value);
            Ok(())
        })
    }

    /// Sets the end-to-end headers among `headers`, in place of all of the same names. `Host`,
    /// `Content-Length`, `Expect` and headers that concern one connection only are left out.
    pub fn headers(self, headers: &HeaderMap) -> Self {
        self.change(|request| {
            let passed = request_headers(headers);
            for name in passed.keys() {
                request.headers_mut().remove(name);
            }
            for (name, value) in &passed {
                request.headers_mut().append(name, value.clone());
            }
            Ok(())
        })
    }

    /// Sends this as JSON, in place of any other body.
    pub fn json<T: Serialize + ?Sized>(self, body: &T) -> Self {
        self.change(|request| {
            let text = serde_json::to_vec(body);
            let text = text.map_err(|source| RelayError::Serialize {
                source: source.into(),
            })?;
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert(CONTENT_TYPE, json);
            request.replace_body(text.into());
            Ok(())
        })
    }

    /// Sends these bytes, in place of any other body. Set `content-type` beside it.
    pub fn body(self, body: impl Into<Body>) -> Self {
        self.change(|request| {
            request.replace_body(body.into());
            Ok(())
        })
    }

    /// Takes bodies of at most `bytes` bytes instead of
    /// [`REQUEST_BODY_LIMIT`](crate::REQUEST_BODY_LIMIT); a larger one is a 413.
    pub fn body_limit(self, bytes: usize) -> Self {
        self.change(|request| {
            request.body_limit = bytes;
            Ok(())
        })
    }

    /// Waits for a permit at most this long, as [`Relay::permit_within`] does, instead of refusing
    /// with 503 at once.
    pub fn permit_within(mut self, limit: Duration) -> Self {
        self.permit_within = Some(limit);
        self
    }

    /// Says whether an event stream as the answer ends with a terminal event, in place of what
    /// [`Relay::with_terminal`] says.
    pub fn terminal(mut self, terminal: Terminal) -> Self {
        self.terminal = terminal;
        self
    }

    fn change(
        mut self,
        change: impl FnOnce(&mut UpstreamRequest) -> Result<(), RelayError>,
    ) -> Self {
        if let Ok(request) = &mut self.request
            && let Err(error) = change(request)
        {
            self.request = Err(error);
        }
        self
    }
}

fn invalid(reason: &str) -> RelayError {
    RelayError::InvalidRequest {
        reason: reason.to_owned(),
    }
}
