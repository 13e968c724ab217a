//! A request on its way to the upstream.

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::poll_immediate;
use http::header::CONTENT_LENGTH;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, request};
use reqwest::Url;
use tokio::time::Instant;

use crate::error::RelayError;
use crate::headers::request_headers;
use crate::permits::Permits;
use crate::timeouts::Timeouts;

/// Most bytes of a request body, unless the caller says otherwise: 32 MiB.
pub const REQUEST_BODY_LIMIT: usize = 32 << 20;

/// What [`Relay::request`](crate::Relay::request) made of a client's request.
#[derive(Debug)]
pub struct UpstreamRequest {
    pub(crate) method: Method,
    pub(crate) url: Url,
    /// Where it goes next if that upstream fails before its first byte.
    pub(crate) fallbacks: Vec<Url>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    pub(crate) body_limit: usize,
    announced: Option<u64>,
}

impl UpstreamRequest {
    pub(crate) fn new(
        upstream: &Url,
        fallbacks: &[Url],
        parts: &request::Parts,
        path_and_query: &str,
        body: Body,
    ) -> Result<Self, RelayError> {
        if parts.method == Method::CONNECT {
            return Err(invalid("CONNECT asks for a tunnel"));
        }
        let under = |base: &Url| upstream_url(base, path_and_query);
        let length = parts
            .headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok());
        Ok(Self {
            method: parts.method.clone(),
            url: under(upstream)?,
            fallbacks: fallbacks.iter().map(under).collect::<Result<_, _>>()?,
            headers: request_headers(&parts.headers),
            body,
            body_limit: REQUEST_BODY_LIMIT,
            announced: length.and_then(|value| value.parse().ok()),
        })
    }

    /// The headers that the upstream will get, to add to or to take from.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// Takes request bodies of at most `bytes` bytes instead of [`REQUEST_BODY_LIMIT`].
    #[must_use]
    pub fn with_body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    pub(crate) fn replace_body(&mut self, body: Body) {
        self.announced = None;
        self.body = body;
    }

    pub(crate) fn into_http(self, body: Bytes) -> Result<http::Request<Bytes>, RelayError> {
        let uri: http::Uri = self
            .url
            .as_str()
            .parse()
            .map_err(|_| invalid("its path is not a path"))?;
        let mut request = http::Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers;
        Ok(request)
    }

    /// Reads the client's body to its end.
    ///
    /// It is buffered, not streamed on: hyper sees a client hang up in mid-response only once the
    /// request's body has been read to its end.
    ///
    /// From the first time that more of it has to be waited for, it takes one of `places`, if there is
    /// a limit on those: one that is there already, as a small one is with its head, needs none, and
    /// clients that trickle theirs cannot hold it up.
    pub(crate) async fn read_body(
        &mut self,
        timeouts: Timeouts,
        places: Option<&Permits>,
    ) -> Result<Bytes, RelayError> {
        let Timeouts { idle, total, .. } = timeouts;
        let limit = self.body_limit;
        let too_large = RelayError::BodyTooLarge { limit };
        if self.announced.is_some_and(|length| length > limit as u64) {
            return Err(too_large);
        }
        let body = std::mem::take(&mut self.body);
        if body.is_end_stream() {
            return Ok(Bytes::new());
        }
        let mut chunks = body.into_data_stream();
        let mut whole = BytesMut::new();
        let started = Instant::now();
        let mut place = None;
        loop {
            let waiting = Instant::now();
            let left = total.saturating_sub(started.elapsed());
            let next = match poll_immediate(chunks.next()).await {
                Some(next) => next,
                None => {
                    if let (Some(places), None) = (places, &place) {
                        place = Some(places.read_a_body()?);
                    }
                    let more = tokio::time::timeout(idle.min(left), chunks.next());
                    let Ok(next) = more.await else {
                        let (since, limit) = if idle < left {
                            (waiting, idle)
                        } else {
                            (started, total)
                        };
                        return Err(RelayError::RequestTimeout {
                            waited: since.elapsed(),
                            limit,
                        });
                    };
                    next
                }
            };
            match next {
                None => return Ok(whole.freeze()),
                Some(Err(error)) => {
                    return Err(RelayError::RequestBody {
                        source: error.into(),
                    });
                }
                Some(Ok(chunk)) if whole.len() + chunk.len() > limit => return Err(too_large),
                Some(Ok(chunk)) => whole.extend_from_slice(&chunk),
            }
            // One of known length is not waited for after its last byte.
            if chunks.is_end_stream() {
                return Ok(whole.freeze());
            }
        }
    }
}

/// Path and query under the configured base. Nothing in them can choose another host, nor leave the
/// base's path: neither `//host/`, nor an absolute URL, nor dot segments.
fn upstream_url(base: &Url, path_and_query: &str) -> Result<Url, RelayError> {
    let parsed: PathAndQuery = path_and_query
        .parse()
        .map_err(|_| invalid("its path is not a path"))?;
    if !parsed.path().starts_with('/') {
        return Err(invalid("its path is not absolute"));
    }
    let prefix = base.path().trim_end_matches('/');
    let mut url = base.clone();
    url.set_path(&format!("{prefix}{}", parsed.path()));
    url.set_query(parsed.query());
    // The URL type resolves dot segments, encoded ones too.
    if !url.path().starts_with(&format!("{prefix}/")) {
        return Err(invalid("its path leaves the upstream's"));
    }
    Ok(url)
}

fn invalid(reason: &str) -> RelayError {
    RelayError::InvalidRequest {
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(base: &str, path_and_query: &str) -> Result<String, RelayError> {
        upstream_url(&base.parse().unwrap(), path_and_query).map(String::from)
    }

    #[test]
    fn path_and_query_go_under_the_base() {
        let plain = "http://127.0.0.1:9000";
        assert_eq!(
            url(plain, "/v1/models?a=b%20c").unwrap(),
            "http://127.0.0.1:9000/v1/models?a=b%20c"
        );
        assert_eq!(url(plain, "/").unwrap(), "http://127.0.0.1:9000/");
        let based = "https://llm.example/api/";
        assert_eq!(
            url(based, "/v1/models").unwrap(),
            "https://llm.example/api/v1/models"
        );
    }

    #[test]
    fn a_request_cannot_choose_the_upstream() {
        let base = "http://127.0.0.1:9000/api";
        assert_eq!(
            url(base, "//evil.example/x").unwrap(),
            "http://127.0.0.1:9000/api//evil.example/x"
        );
        for hostile in [
            "http://evil.example/",
            "@evil.example/",
            "*",
            "",
            "/../admin",
            "/%2e%2e/admin",
        ] {
            let outcome = url(base, hostile);
            assert!(
                matches!(outcome, Err(RelayError::InvalidRequest { .. })),
                "{hostile}: {outcome:?}"
            );
        }
    }
}
