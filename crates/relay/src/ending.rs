//! How an exchange ended: exactly one value each, and how that is told to the client.

use std::time::Duration;

use crate::error::RelayError;
use crate::framing::{Framing, Terminal};
use crate::sse::{Said, SseTail};

/// What became of one exchange with the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ending {
    /// Relayed whole. A client that leaves after the terminal event has the whole stream too.
    Complete,
    /// The upstream ended an event stream cleanly, but without its terminal event. Or it ended a body of
    /// known length before its last byte, which HTTP/2 allows.
    Truncated,
    /// The upstream told the client in an error event of its own that it failed.
    InBandError,
    /// The upstream answered with this status, 400 or above, and the answer was relayed whole.
    UpstreamStatus(u16),
    /// The upstream's connection or its protocol broke.
    UpstreamFailed,
    /// No connection to the upstream.
    ConnectFailed,
    /// The upstream was silent for too long, before its head or after it.
    IdleTimeout,
    /// The exchange took too long as a whole.
    DeadlineExceeded,
    /// The client hung up first.
    ClientGone,
}

/// How much of a stream was relayed, and how fast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamFigures {
    /// Bytes from the upstream.
    pub bytes: u64,
    /// Chunks from the upstream, as they arrived.
    pub chunks: u64,
    /// From the permit to the first bytes of the body, if any came.
    pub first_byte: Option<Duration>,
    /// From the permit to the end; for an exchange that ended before its head, from the sending.
    pub duration: Duration,
}

impl Ending {
    /// The labels of all endings, sorted.
    pub const LABELS: [&'static str; 9] = [
        "client_gone",
        "complete",
        "connect_failed",
        "deadline_exceeded",
        "idle_timeout",
        "in_band_error",
        "truncated",
        "upstream_failed",
        "upstream_status",
    ];

    /// The label in metrics and snapshots.
    pub fn label(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Truncated => "truncated",
            Self::InBandError => "in_band_error",
            Self::UpstreamStatus(_) => "upstream_status",
            Self::UpstreamFailed => "upstream_failed",
            Self::ConnectFailed => "connect_failed",
            Self::IdleTimeout => "idle_timeout",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::ClientGone => "client_gone",
        }
    }

    /// The ending of an exchange that failed with this error.
    pub(crate) fn of(error: &RelayError) -> Self {
        match error {
            RelayError::Connect { .. } | RelayError::ConnectTimeout { .. } => Self::ConnectFailed,
            RelayError::HeadTimeout { .. } | RelayError::Idle { .. } => Self::IdleTimeout,
            RelayError::Deadline { .. } => Self::DeadlineExceeded,
            RelayError::Truncated { .. } => Self::Truncated,
            _ => Self::UpstreamFailed,
        }
    }
}

/// How the client's body is ended.
#[derive(Debug)]
pub(crate) enum Farewell {
    /// Nothing more to say.
    Clean(Ending),
    /// An error event, then a clean end.
    Event(RelayError),
    /// Broken off, so that the client sees a broken transfer.
    Abort(RelayError),
}

/// What to tell the client after the upstream has failed, or ended (`failure` is `None`).
pub(crate) fn farewell(
    framing: Framing,
    tail: &SseTail,
    bytes: u64,
    failure: Option<RelayError>,
) -> Farewell {
    match (framing, failure) {
        (Framing::Sse { terminal }, failure) => match (tail.said(), failure) {
            // The client has everything after the last event, whatever happens then.
            (Some(Said::Done), _) => Farewell::Clean(Ending::Complete),
            (Some(Said::Error), _) => Farewell::Clean(Ending::InBandError),
            (None, Some(error)) => Farewell::Event(error),
            (None, None) if terminal == Terminal::Optional && tail.at_boundary() => {
                Farewell::Clean(Ending::Complete)
            }
            (None, None) => Farewell::Event(RelayError::Truncated { bytes }),
        },
        (_, Some(error)) => Farewell::Abort(error),
        (framing, None) if framing.length().is_some_and(|length| bytes < length) => {
            Farewell::Abort(RelayError::Truncated { bytes })
        }
        (Framing::Opaque { .. }, None) => Farewell::Clean(Ending::Complete),
        (Framing::Refusal { status, .. }, None) => Farewell::Clean(Ending::UpstreamStatus(status)),
    }
}

/// How it counts that the client dropped the body.
pub(crate) fn hang_up(framing: Framing, tail: &SseTail) -> Ending {
    match (framing, tail.said()) {
        (Framing::Sse { .. }, Some(Said::Done)) => Ending::Complete,
        (Framing::Sse { .. }, Some(Said::Error)) => Ending::InBandError,
        _ => Ending::ClientGone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SSE: Framing = Framing::Sse {
        terminal: Terminal::Required,
    };
    const OPAQUE: Framing = Framing::Opaque { length: None };

    fn tail_of(stream: &[u8]) -> SseTail {
        let mut tail = SseTail::default();
        tail.push(stream);
        tail
    }

    fn silence() -> Option<RelayError> {
        let limit = Duration::from_secs(60);
        Some(RelayError::Idle {
            waited: limit,
            limit,
        })
    }

    #[test]
    fn an_event_stream_without_its_terminal_event_is_truncated() {
        let half = tail_of(b"data: {}\n\n");
        let said = farewell(SSE, &half, 10, None);
        assert!(
            matches!(said, Farewell::Event(RelayError::Truncated { bytes: 10 })),
            "{said:?}"
        );

        let optional = Framing::Sse {
            terminal: Terminal::Optional,
        };
        let said = farewell(optional, &half, 10, None);
        assert!(
            matches!(said, Farewell::Clean(Ending::Complete)),
            "{said:?}"
        );
        let said = farewell(optional, &tail_of(b"data: {}"), 8, None);
        assert!(
            matches!(said, Farewell::Event(RelayError::Truncated { .. })),
            "{said:?}"
        );
    }

    #[test]
    fn a_failure_after_the_last_event_is_none() {
        let done = tail_of(b"data: [DONE]\n\n");
        let said = farewell(SSE, &done, 14, silence());
        assert!(
            matches!(said, Farewell::Clean(Ending::Complete)),
            "{said:?}"
        );
        assert_eq!(hang_up(SSE, &done), Ending::Complete);

        let error = tail_of(b"data: {\"error\":{}}\n\n");
        let said = farewell(SSE, &error, 20, None);
        assert!(
            matches!(said, Farewell::Clean(Ending::InBandError)),
            "{said:?}"
        );
    }

    #[test]
    fn an_opaque_body_is_broken_off() {
        let said = farewell(OPAQUE, &SseTail::default(), 3, silence());
        assert!(
            matches!(said, Farewell::Abort(RelayError::Idle { .. })),
            "{said:?}"
        );
        let said = farewell(OPAQUE, &SseTail::default(), 3, None);
        assert!(
            matches!(said, Farewell::Clean(Ending::Complete)),
            "{said:?}"
        );
        let refusal = Framing::Refusal {
            status: 429,
            length: None,
        };
        let said = farewell(refusal, &SseTail::default(), 3, None);
        assert!(
            matches!(said, Farewell::Clean(Ending::UpstreamStatus(429))),
            "{said:?}"
        );
        assert_eq!(hang_up(OPAQUE, &SseTail::default()), Ending::ClientGone);
    }

    #[test]
    fn a_body_that_ends_before_its_announced_end_is_broken_off() {
        let announced = Framing::Opaque { length: Some(4) };
        let said = farewell(announced, &SseTail::default(), 3, None);
        assert!(
            matches!(said, Farewell::Abort(RelayError::Truncated { bytes: 3 })),
            "{said:?}"
        );
        let said = farewell(announced, &SseTail::default(), 4, None);
        assert!(
            matches!(said, Farewell::Clean(Ending::Complete)),
            "{said:?}"
        );
    }

    #[test]
    fn the_labels_are_sorted_and_complete() {
        assert!(Ending::LABELS.is_sorted());
        for ending in [
            Ending::Complete,
            Ending::Truncated,
            Ending::InBandError,
            Ending::UpstreamStatus(500),
            Ending::UpstreamFailed,
            Ending::ConnectFailed,
            Ending::IdleTimeout,
            Ending::DeadlineExceeded,
            Ending::ClientGone,
        ] {
            assert!(Ending::LABELS.contains(&ending.label()));
        }
    }
}
