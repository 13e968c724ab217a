//! Sending: to one upstream after the other, until one answers.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use reqwest::{Request, Response};
use tokio::time::Instant;

use crate::ending::Ending;
use crate::error::RelayError;
use crate::fallback::{GivenUp, first_byte, is_refusal};
use crate::framing::BodyLength;
use crate::ledger::AwaitingHead;
use crate::relay::Relay;
use crate::request::UpstreamRequest;
use crate::resolver::Resolver;
use crate::timeouts::{Timeouts, after};

impl Relay {
    /// Reads the client's body, sends the request, and waits for the upstream's head, whatever its
    /// status is.
    ///
    /// With [fallbacks](Self::with_fallbacks) every upstream but the last is waited for until the
    /// first byte of its body (until the head, if it is known that there is no body). The upstream is
    /// given up if it cannot be reached, breaks or ends before that byte, is silent for longer than
    /// [`Timeouts::idle`], or answers 429 or ≥ 500. Then its connection is dropped, the next upstream
    /// gets the same request, and [`RelaySnapshot::fallbacks`](crate::RelaySnapshot::fallbacks) counts
    /// why. The caller gets the last answer or error. After the first byte there is no fallback, because
    /// a stream cannot begin again in its middle. An upstream that is given up may have begun to work:
    /// use no fallbacks for requests that must not be done twice.
    ///
    /// [`Timeouts::total`] spans all upstreams. The others hold for each of them.
    ///
    /// # Errors
    /// [`RelayError`] if the client's body breaks off, stalls, is too large or finds no room, if there is
    /// no connection, or if the head does not come in time. From the sending on, the exchange is then
    /// counted as ended, once, as it ended with the last upstream.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection to the upstream that it waits for (over HTTP/2, resets
    /// the stream), and counts as the client's hang-up.
    pub async fn send(&self, mut request: UpstreamRequest) -> Result<Response, RelayError> {
        let Timeouts { total, .. } = self.timeouts();
        let started = Instant::now();
        let deadline = after(started, total);
        let late = || RelayError::Deadline {
            waited: started.elapsed(),
            limit: total,
        };
        // No place for a body is needed: the permit limits how many are read here.
        let read = request.read_body(self.timeouts(), &self.shared.permits, false);
        let body = read.await?;

        let awaiting = AwaitingHead::enter(Arc::clone(&self.shared.ledger));
        let outcome = tokio::time::timeout_at(deadline, self.answer(request, body)).await;
        match outcome.unwrap_or_else(|_| Err(late())) {
            Ok(response) => {
                awaiting.arrived();
                Ok(response)
            }
            Err(error) => {
                tracing::warn!(
                    error = error.with_causes(),
                    "no response head from the upstream"
                );
                awaiting.failed(Ending::of(&error));
                Err(error)
            }
        }
    }

    /// The answer of the first upstream that has one, or the outcome of the last.
    async fn answer(&self, request: UpstreamRequest, body: Bytes) -> Result<Response, RelayError> {
        let UpstreamRequest {
            method,
            mut url,
            fallbacks,
            headers,
            ..
        } = request;
        let to = |url| {
            let mut outgoing = Request::new(method.clone(), url);
            *outgoing.headers_mut() = headers.clone();
            if !body.is_empty() {
                *outgoing.body_mut() = Some(body.clone().into());
            }
            outgoing
        };
        for next in fallbacks {
            let failed = std::mem::replace(&mut url, next);
            // A failed attempt is dropped before the next one is sent.
            match self.attempt(to(failed)).await {
                Ok(response) => return Ok(response),
                Err(why) => {
                    tracing::warn!(why = why.message(), "the next upstream is asked");
                    self.shared.ledger.fell_back(&why);
                }
            }
        }
        self.head(to(url)).await
    }

    /// An answer whose first byte is there, or the reason to ask another upstream.
    async fn attempt(&self, outgoing: Request) -> Result<Response, GivenUp> {
        let response = self.head(outgoing).await.map_err(GivenUp::Failed)?;
        let status = response.status();
        if is_refusal(status) {
            return Err(GivenUp::Refused(status));
        }
        if status.is_client_error() {
            return Ok(response);
        }
        let idle = self.timeouts().idle;
        first_byte(response, idle).await.map_err(GivenUp::Failed)
    }

    async fn head(&self, outgoing: Request) -> Result<Response, RelayError> {
        let Timeouts { connect, idle, .. } = self.timeouts();
        let sent = Instant::now();
        let to_head = outgoing.method() == Method::HEAD;
        let name = outgoing.url().domain().map(str::to_owned);
        let not_there = || {
            if let Some(name) = &name {
                Resolver::shared().forget(name);
            }
        };
        match tokio::time::timeout(idle, self.client.execute(outgoing)).await {
            Err(_) => Err(RelayError::HeadTimeout {
                waited: sent.elapsed(),
                limit: idle,
            }),
            Ok(Ok(mut response)) => {
                if to_head || has_no_body(response.status()) {
                    response.extensions_mut().insert(BodyLength(0));
                }
                Ok(response)
            }
            Ok(Err(error)) if error.is_connect() && error.is_timeout() => {
                not_there();
                Err(RelayError::ConnectTimeout {
                    waited: sent.elapsed(),
                    limit: connect,
                })
            }
            // Without the URL: its query may be secret, and the app knows its upstream.
            Ok(Err(error)) if error.is_connect() => {
                not_there();
                Err(RelayError::Connect {
                    source: error.without_url().into(),
                })
            }
            Ok(Err(error)) => Err(RelayError::Upstream {
                source: error.without_url().into(),
            }),
        }
    }
}

/// Whether answers with this status have no body, whatever length they announce.
fn has_no_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}
