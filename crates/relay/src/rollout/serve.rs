//! One request through the path of its key, and through the other if that fails in time.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::HeaderValue;

use super::assignment::StreamMethod;
use super::body::WatchedBody;
use super::books::RequestEntry;
use super::path_error::PathError;
use super::{Rollout, STREAM_FALLBACK, STREAM_METHOD};

impl Rollout {
    /// Serves one request: assigns `key`, awaits `request`, and asks the path. Reading the request counts
    /// for the time to the first byte.
    ///
    /// If `on_async` returns an error that has a [fallback reason](PathError::fallback_reason), the
    /// same request goes to `on_blocking`. An `Ok` is final, whatever its status and its body. A path that
    /// can fail between head and first byte should wait for that byte before it returns, as
    /// [`GuardedBody::first_byte`](crate::GuardedBody::first_byte) does. An error of `request` is the
    /// client's fault, and never a reason to fall back.
    ///
    /// The response carries `X-Stream-Method`, and after a fallback `X-Stream-Fallback`. Its body is
    /// passed on as it comes, and watched for its first byte and its end.
    ///
    /// # Cancel safety
    /// Dropping the future drops what it waits for, and counts as a client that left unserved.
    pub async fn serve<R, E, A, B>(
        &self,
        key: Option<&[u8]>,
        request: impl Future<Output = Result<R, E>>,
        on_async: impl FnOnce(R) -> A,
        on_blocking: impl FnOnce(R) -> B,
    ) -> Response
    where
        R: Clone,
        E: PathError,
        A: Future<Output = Result<Response, E>>,
        B: Future<Output = Result<Response, E>>,
    {
        let mut entry = RequestEntry::open(Arc::clone(self.books()), self.assign(key));
        let request = match request.await {
            Ok(request) => request,
            Err(error) => return self.finish(error.into_response(), entry, None),
        };
        let (outcome, reason) = match entry.serving() {
            StreamMethod::Blocking => (on_blocking(request).await, None),
            StreamMethod::Async => match on_async(request.clone()).await {
                Ok(response) => (Ok(response), None),
                Err(error) => match error.fallback_reason() {
                    None => (Err(error), None),
                    Some(reason) => {
                        tracing::warn!(
                            reason,
                            error = error.message(),
                            "fell back to the blocking path"
                        );
                        entry.fall_back(reason);
                        (on_blocking(request).await, Some(reason))
                    }
                },
            },
        };
        self.finish(outcome.unwrap_or_else(E::into_response), entry, reason)
    }

    fn finish(
        &self,
        response: Response,
        entry: RequestEntry,
        fallback: Option<&'static str>,
    ) -> Response {
        let (mut head, body) = response.into_parts();
        head.headers.insert(STREAM_METHOD, entry.serving().header());
        if let Some(reason) = fallback {
            head.headers.insert(STREAM_FALLBACK, printable(reason));
        }
        let body = WatchedBody::new(body, &head, self.terminal, entry);
        Response::from_parts(head, Body::new(body))
    }
}

/// The app's word as a header, with a `?` for anything but visible ASCII.
fn printable(reason: &str) -> HeaderValue {
    let visible = |c: char| if c.is_ascii_graphic() { c } else { '?' };
    let reason: String = reason.chars().map(visible).collect();
    HeaderValue::try_from(reason).expect("visible ASCII is a header's value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_reason_of_an_app_is_a_header() {
        for (reason, header) in [
            ("upstream_failed", "upstream_failed"),
            ("", ""),
            ("größer\r\nx-evil: 1", "gr??er??x-evil:?1"),
            ("\0\u{7f}", "??"),
        ] {
            assert_eq!(printable(reason), header, "{reason:?}");
        }
    }
}
