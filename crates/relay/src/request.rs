//! A request on its way to the upstream.

use axum::body::Body;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, request};
use reqwest::Url;

use crate::error::RelayError;
use crate::headers::request_headers;
use crate::permits::Permits;
use crate::request_body::BodyReader;
use crate::timeouts::Timeouts;

/// Most bytes of a request body, unless the caller says otherwise: 32 MiB.
pub const REQUEST_BODY_LIMIT: usize = 32 << 20;

/// A request for the upstream, made by [`Relay::request`](crate::Relay::request).
#[derive(Debug)]
pub struct UpstreamRequest {
    pub(crate) method: Method,
    pub(crate) url: Url,
    /// Where the request goes next if an upstream fails before its first byte.
    pub(crate) fallbacks: Vec<Url>,
    pub(crate) headers: HeaderMap,
    pub(crate) body_limit: usize,
    body: RequestBody,
}

#[derive(Debug)]
enum RequestBody {
    Unread {
        body: Body,
        /// Its length, if the request's head has it.
        announced: Option<u64>,
    },
    Read(Bytes),
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
            body_limit: REQUEST_BODY_LIMIT,
            body: RequestBody::Unread {
                body,
                announced: length.and_then(|value| value.parse().ok()),
            },
        })
    }

    /// The headers that the upstream will get, to be changed.
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
        self.body = RequestBody::Unread {
            body,
            announced: None,
        };
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

    /// Reads the client's body to its end, unless that is done already.
    ///
    /// With `takes_place`, one that has to be waited for takes one of the places for bodies.
    pub(crate) async fn read_body(
        &mut self,
        timeouts: Timeouts,
        permits: &Permits,
        takes_place: bool,
    ) -> Result<Bytes, RelayError> {
        let reader = BodyReader {
            timeouts,
            permits,
            limit: self.body_limit,
            takes_place,
        };
        let nothing = RequestBody::Read(Bytes::new());
        let bytes = match std::mem::replace(&mut self.body, nothing) {
            RequestBody::Unread { body, announced } => reader.read(body, announced).await?,
            RequestBody::Read(bytes) => bytes,
        };
        self.body = RequestBody::Read(bytes.clone());
        Ok(bytes)
    }
}

/// Path and query under the configured base. They can neither choose another host nor leave the base's
/// path: not by `//host/`, an absolute URL or dot segments.
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
