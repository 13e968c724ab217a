//! How a response is delimited, and so how a failure in its middle can be told to the client.

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};

/// What kind of body is relayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Framing {
    /// Server-sent events: a failure becomes an error event and a clean end. [`Framing::sse`] makes one.
    #[non_exhaustive]
    Sse {
        /// Whether a stream without a terminal event is a truncated one.
        terminal: Terminal,
    },
    /// Anything else: a failure breaks the transfer off, because there is no other way to tell it.
    /// [`Framing::opaque`] makes one.
    #[non_exhaustive]
    Opaque {
        /// Bytes that the body will have, if that is known.
        length: Option<u64>,
    },
    /// The body of an answer with status 400 or above; as [`Opaque`](Self::Opaque), but it ends as
    /// [`Ending::UpstreamStatus`](crate::Ending::UpstreamStatus). [`Framing::refusal`] makes one.
    #[non_exhaustive]
    Refusal {
        /// The upstream's status.
        status: u16,
        /// Bytes that the body will have, if that is known.
        length: Option<u64>,
    },
}

/// Whether an event stream ends with an event that says that it is whole. [`Said::Done`](crate::Said)
/// lists those events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Terminal {
    /// It does, as the streams of language models do. Its absence is an error.
    #[default]
    Required,
    /// It need not. The stream is whole if it ends between two events.
    Optional,
}

/// The exact length of a body that the head alone does not tell (an answer to HEAD, a 304).
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyLength(pub(crate) u64);

impl Framing {
    /// The framing of a response with this head, best one made by
    /// [`response_head`](crate::response_head).
    ///
    /// A compressed event stream is opaque, because no event could be added to it. Any other event stream
    /// has a terminal event, as those of language models do, unless
    /// [`with_terminal`](Self::with_terminal) says otherwise.
    pub fn of(head: &http::response::Parts) -> Self {
        let length = match head.extensions.get::<BodyLength>() {
            Some(BodyLength(length)) => Some(*length),
            None => content_length(&head.headers),
        };
        Self::from_head(head.status, &head.headers, length)
    }

    /// Server-sent events, for a body that the app makes itself.
    #[must_use]
    pub const fn sse(terminal: Terminal) -> Self {
        Self::Sse { terminal }
    }

    /// Any other body, of `length` bytes, if that is known.
    #[must_use]
    pub const fn opaque(length: Option<u64>) -> Self {
        Self::Opaque { length }
    }

    /// The body of an answer with this `status`, 400 or above; of `length` bytes, if that is known.
    #[must_use]
    pub const fn refusal(status: u16, length: Option<u64>) -> Self {
        Self::Refusal { status, length }
    }

    /// Says whether an event stream has a terminal event; any other framing stays as it is.
    #[must_use]
    pub fn with_terminal(self, terminal: Terminal) -> Self {
        match self {
            Self::Sse { .. } => Self::Sse { terminal },
            other => other,
        }
    }

    pub(crate) fn from_head(status: StatusCode, headers: &HeaderMap, length: Option<u64>) -> Self {
        if status.is_client_error() || status.is_server_error() {
            Self::Refusal {
                status: status.as_u16(),
                length,
            }
        } else if is_event_stream(headers) && length != Some(0) {
            Self::Sse {
                terminal: Terminal::default(),
            }
        } else {
            Self::Opaque { length }
        }
    }

    /// Bytes after which nothing more is expected.
    pub(crate) fn length(self) -> Option<u64> {
        match self {
            Self::Sse { .. } => None,
            Self::Opaque { length } | Self::Refusal { length, .. } => length,
        }
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let essence = text(CONTENT_TYPE)
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    let plain = text(CONTENT_ENCODING).is_none_or(|value| value.eq_ignore_ascii_case("identity"));
    plain && essence.is_some_and(|essence| essence.eq_ignore_ascii_case("text/event-stream"))
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(status: u16, headers: &[(&str, &str)]) -> Framing {
        let mut response = http::Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        Framing::of(&response.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn the_head_tells_how_a_body_is_framed() {
        let sse = Framing::Sse {
            terminal: Terminal::Required,
        };
        assert_eq!(framing(200, &[("content-type", "text/event-stream")]), sse);
        assert_eq!(
            framing(200, &[("content-type", "Text/Event-Stream; charset=utf-8")]),
            sse
        );
        assert_eq!(
            framing(
                200,
                &[
                    ("content-type", "text/event-stream"),
                    ("content-encoding", "gzip")
                ]
            ),
            Framing::Opaque { length: None }
        );
        assert_eq!(
            framing(
                200,
                &[
                    ("content-type", "application/json"),
                    ("content-length", "17")
                ]
            ),
            Framing::Opaque { length: Some(17) }
        );
        assert_eq!(
            framing(429, &[("content-type", "text/event-stream")]),
            Framing::Refusal {
                status: 429,
                length: None
            }
        );
    }
}
