//! Which headers pass: the end-to-end ones, in both directions.

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Response, StatusCode};

use crate::framing::{BodyLength, Framing};

/// Headers that concern one connection only, by RFC 9110 (sections 7.6.1, 6.6.2, 11.7) and its
/// predecessors. `Connection` may name more. Over HTTP/2 most of them are an error (RFC 9113, section
/// 8.2.2).
const HOP_BY_HOP: [HeaderName; 11] = [
    CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-authentication-info"),
    HeaderName::from_static("proxy-connection"),
];

/// The head for the client: the upstream's status and its end-to-end headers.
///
/// An event stream loses its `Content-Length`, because an error event may have to follow it.
pub fn response_head(upstream: &reqwest::Response) -> http::response::Parts {
    let length = body_length(upstream);
    client_head(upstream.status(), upstream.headers(), length)
}

/// The length of the body, if it is known. hyper alone does not know it: over HTTP/2 it takes the
/// announced length for that of an answer to HEAD.
pub(crate) fn body_length(upstream: &reqwest::Response) -> Option<u64> {
    match upstream.extensions().get::<BodyLength>() {
        Some(BodyLength(length)) => Some(*length),
        None => upstream.content_length(),
    }
}

/// As [`response_head`], for an answer that another client than the relay's own got. `length` is that
/// of the body, if it is known.
pub fn client_head(
    status: StatusCode,
    headers: &HeaderMap,
    length: Option<u64>,
) -> http::response::Parts {
    let (mut head, ()) = Response::new(()).into_parts();
    head.status = status;
    head.headers = end_to_end(headers);
    if let Some(length) = length {
        head.extensions.insert(BodyLength(length));
    }
    if let Framing::Sse { .. } = Framing::from_head(head.status, &head.headers, length) {
        head.headers.remove(CONTENT_LENGTH);
    }
    head
}

/// The headers for the upstream. The relay's HTTP client sets `Host` and `Content-Length` itself, and
/// `Expect` was answered by the server.
pub(crate) fn request_headers(headers: &HeaderMap) -> HeaderMap {
    let mut forwarded = end_to_end(headers);
    for name in [HOST, CONTENT_LENGTH, EXPECT] {
        forwarded.remove(name);
    }
    forwarded
}

fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut passed = headers.clone();
    let named = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok());
    for name in named {
        passed.remove(name);
    }
    for name in HOP_BY_HOP {
        passed.remove(name);
    }
    passed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_end_to_end_headers_reach_the_upstream() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "relay.example"),
            ("connection", "keep-alive, X-Private"),
            ("connection", " ,upgrade,HTTP2-Settings , not a name,x-also"),
            ("keep-alive", "timeout=5"),
            ("x-private", "1"),
            ("x-also", "1"),
            ("x-also", "2"),
            ("te", "trailers"),
            ("trailer", "x-checksum"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABkAAQAAP__"),
            ("proxy-authorization", "Basic c2VjcmV0"),
            ("proxy-authenticate", "Basic"),
            ("proxy-authentication-info", "a=b"),
            ("proxy-connection", "keep-alive"),
            ("content-length", "3"),
            ("expect", "100-continue"),
            ("authorization", "Bearer key"),
            ("x-request-id", "r-1"),
            ("x-mock-ttft", "10ms"),
            ("accept-encoding", "gzip"),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        let forwarded = request_headers(&headers);
        let mut names: Vec<_> = forwarded.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "accept-encoding",
                "authorization",
                "x-mock-ttft",
                "x-request-id"
            ]
        );
    }
}
