//! Which version of HTTP is spoken with the upstream.

use std::time::Duration;

use reqwest::ClientBuilder;

/// Which version of HTTP is spoken with the upstream; the client's own is another matter.
///
/// Over HTTP/2 all exchanges with an upstream share one connection. A client that hangs up resets its
/// own stream and no other, and one that reads slowly holds up its own only: the connection's window
/// is as large as those of all permits together.
///
/// **An upstream limits the streams of a connection** (`SETTINGS_MAX_CONCURRENT_STREAMS`, often 100),
/// and no other connection is opened for those beyond it: they wait, unsent, until a stream ends. The
/// wait counts as waiting for the head, so it shows in `awaiting_head`, ends after
/// [`Timeouts::idle`](crate::Timeouts::idle) with 504, and is never longer than the permits allow.
/// Whoever would rather refuse at once has no more permits than the upstream has streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// HTTP/2 where the upstream offers it in its TLS handshake (ALPN), and HTTP/1.1 elsewhere, on
    /// every connection without TLS too.
    #[default]
    Negotiated,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 from the first byte, with or without TLS. An upstream that does not speak it fails every
    /// exchange.
    Http2PriorKnowledge,
}

/// Flow-control window of a stream in bytes, that of RFC 9113, section 6.9.2: the most that is buffered
/// for a client that does not read. HTTP clients that are made for throughput take megabytes.
const STREAM_WINDOW: u32 = 65_535;

/// Largest window there is, RFC 9113, section 6.9.1.
const LARGEST_WINDOW: u32 = (1 << 31) - 1;

/// After how much silence the connection itself is asked whether it is still there. Without it, a
/// connection that vanished takes all streams of the next minutes with it.
const PING_AFTER: Duration = Duration::from_secs(10);

/// How long the answer may take.
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

/// Room for every permit's stream: clients that do not read must not use up what the others need.
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
