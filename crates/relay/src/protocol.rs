//! Which version of HTTP is spoken with the upstream.

use std::time::Duration;

use reqwest::ClientBuilder;

/// Which version of HTTP is spoken with the upstream, whatever the client speaks.
///
/// Over HTTP/2 all exchanges with an upstream share one connection. A client that hangs up resets only
/// its own stream. A client that reads slowly holds up only its own, because the connection's window is
/// as large as those of all permits together.
///
/// **An upstream limits the streams of a connection** (`SETTINGS_MAX_CONCURRENT_STREAMS`, often 100). No
/// second connection is opened: requests beyond that wait unsent until a stream ends. They count in
/// `awaiting_head`, and get 504 after [`Timeouts::idle`](crate::Timeouts::idle). To refuse them at once,
/// have no more permits than the upstream has streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// HTTP/2 where the upstream offers it in its TLS handshake (ALPN), otherwise HTTP/1.1. A
    /// connection without TLS is always HTTP/1.1.
    #[default]
    Negotiated,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 from the first byte, with or without TLS. An upstream that does not speak it fails every
    /// exchange.
    Http2PriorKnowledge,
}

/// Flow-control window of a stream in bytes, the default of RFC 9113, section 6.9.2: the most that is
/// buffered for a client that does not read. HTTP clients made for throughput take megabytes.
const STREAM_WINDOW: u32 = 65_535;

/// Largest window there is, RFC 9113, section 6.9.1.
const LARGEST_WINDOW: u32 = (1 << 31) - 1;

/// After how much silence a ping asks whether the connection is still there. Without a ping, all streams
/// of the next minutes fail on a connection that vanished.
const PING_AFTER: Duration = Duration::from_secs(10);

/// How long the answer to a ping may take.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

impl Protocol {
    pub(crate) fn configure(self, builder: ClientBuilder, permits: usize) -> ClientBuilder {
        let builder = match self {
            Self::Negotiated => builder,
            Self::Http1 => return builder.http1_only(),
            Self::Http2PriorKnowledge => builder.http2_prior_knowledge(),
        };
        builder
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(connection_window(permits))
            .http2_keep_alive_interval(PING_AFTER)
            .http2_keep_alive_timeout(PING_TIMEOUT)
    }
}

/// A window with room for the stream of every permit, so that clients that do not read leave the others
/// theirs.
fn connection_window(permits: usize) -> u32 {
    let permits = u32::try_from(permits).unwrap_or(u32::MAX);
    STREAM_WINDOW.saturating_mul(permits).min(LARGEST_WINDOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_has_room_for_every_stream() {
        assert_eq!(connection_window(1), STREAM_WINDOW);
        assert_eq!(connection_window(1000), 65_535_000);
        assert_eq!(connection_window(usize::MAX), LARGEST_WINDOW);
    }
}
