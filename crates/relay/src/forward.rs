//! The whole way in one call: request, body, permit, upstream, guarded stream.

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::Method;

use crate::error::RelayError;
use crate::framing::Framing;
use crate::headers::response_head;
use crate::outgoing::Outgoing;
use crate::relay::Relay;

impl Relay {
    /// Relays a client's request to `path_and_query` under the upstream. Its method, end-to-end headers
    /// and body go there; the answer comes back as it arrives. A failure before the head is answered
    /// with the status of [`RelayError::status`]. A failure after it is told as the table at the top of
    /// this crate says. An event stream without a terminal event counts as cut off, unless
    /// [`with_terminal`](Self::with_terminal) says that there need be none.
    ///
    /// If no permit is left, the client is refused with 503 before its body is read, so a client that
    /// still uploads may find its connection closed. Otherwise the body is read to its end first. Then
    /// the permit is taken, if one is still there, and held until the answer's body ends or is dropped.
    /// For anything else, such as waiting for a permit, see [`build_from`](Self::build_from).
    ///
    /// # Cancel safety
    /// Dropping the future, as axum does when the client hangs up, ends the exchange: the upstream's
    /// connection is closed, over HTTP/2 its stream reset, and the permit given back.
    pub async fn forward(&self, request: Request, path_and_query: &str) -> Response {
        self.build_from(request, path_and_query).forward().await
    }

    /// As [`forward`](Self::forward), for an app that tells clients of errors in another way.
    ///
    /// # Errors
    /// [`RelayError`] for a failure before the upstream's head is there. A failure after it is part of
    /// the body.
    ///
    /// # Cancel safety
    /// As [`forward`](Self::forward).
    pub async fn try_forward(
        &self,
        request: Request,
        path_and_query: &str,
    ) -> Result<Response, RelayError> {
        self.build_from(request, path_and_query).try_forward().await
    }

    /// A request of the app's own to `path_and_query` under the upstream, without headers and body yet.
    ///
    /// ```
    /// # use axum::response::Response;
    /// # use relay::Relay;
    /// async fn ask(relay: &Relay, prompt: &str) -> Response {
    ///     let body = serde_json::json!({ "model": "small", "stream": true, "prompt": prompt });
    ///     let request = relay.build(http::Method::POST, "/v1/completions");
    ///     request.header("authorization", "Bearer key").json(&body).forward().await
    /// }
    /// ```
    pub fn build(&self, method: Method, path_and_query: &str) -> Outgoing {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.method = method;
        let request = self.request(&parts, path_and_query, Body::empty());
        Outgoing::new(self.clone(), request)
    }

    /// A client's request to `path_and_query` under the upstream, with its method, end-to-end headers
    /// and body, to be changed before it goes.
    pub fn build_from(&self, request: Request, path_and_query: &str) -> Outgoing {
        let (parts, body) = request.into_parts();
        let request = self.request(&parts, path_and_query, body);
        Outgoing::new(self.clone(), request)
    }
}

impl Outgoing {
    /// Sends it and relays the answer, as [`Relay::forward`] does.
    ///
    /// # Cancel safety
    /// As [`Relay::forward`].
    pub async fn forward(self) -> Response {
        self.try_forward()
            .await
            .unwrap_or_else(IntoResponse::into_response)
    }

    /// As [`forward`](Self::forward), for an app that tells clients of errors in another way.
    ///
    /// # Errors
    /// [`RelayError`] for a failure before the upstream's head is there, also for a header or a body
    /// that could not be made.
    ///
    /// # Cancel safety
    /// As [`Relay::forward`].
    pub async fn try_forward(self) -> Result<Response, RelayError> {
        let Self {
            relay,
            request,
            permit_within,
            terminal,
        } = self;
        let request = request?;
        if permit_within.is_none() {
            // The body of a client that is refused anyway is not read into memory first.
            relay.shared.permits.precheck()?;
        }
        let request = relay.read(request).await?;
        let permit = match permit_within {
            None => relay.permit()?,
            Some(limit) => relay.permit_within(limit).await?,
        };
        let upstream = relay.send(request).await?;
        let head = response_head(&upstream);
        let framing = Framing::of(&head).with_terminal(terminal);
        let body = relay.guard(upstream.bytes_stream(), permit, framing);
        Ok(Response::from_parts(head, Body::from_stream(body)))
    }
}
