//! What a client got, as seen from its side of either path.

use crate::framing::{Framing, Terminal};
use crate::sse::{Said, SseTail};

/// How a request ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The client got the whole answer.
    Complete,
    /// The client got a part: the transfer broke, or an event stream ended with an error event, inside an
    /// event, or without the terminal event that
    /// [`Rollout::with_terminal`](super::Rollout::with_terminal) asks for.
    Failed,
    /// The status was 400 or above, from the upstream or from the app.
    Refused,
    /// The client hung up in mid-answer.
    ClientGone,
    /// The client hung up before the first byte.
    Unserved,
}

impl Outcome {
    /// The labels of all outcomes, sorted.
    pub const LABELS: [&'static str; 5] =
        ["client_gone", "complete", "failed", "refused", "unserved"];

    /// The label in metrics and snapshots.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::ClientGone => "client_gone",
            Self::Unserved => "unserved",
        }
    }
}

/// What has passed of a body so far.
#[derive(Debug)]
pub(super) struct BodyProgress {
    framing: Framing,
    tail: SseTail,
    bytes: u64,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyEnd {
    /// Its path ended it.
    Eof,
    /// Its path reported an error.
    Broken,
    /// The server dropped it.
    Dropped,
}

impl BodyProgress {
    /// The beginning of the body of an answer with this head.
    pub(super) fn new(head: &http::response::Parts, terminal: Terminal) -> Self {
        Self {
            framing: Framing::of(head).with_terminal(terminal),
            tail: SseTail::default(),
            bytes: 0,
        }
    }

    /// Counts a chunk. True for the first byte of an answer that is not a refusal.
    pub(super) fn pass(&mut self, chunk: &[u8]) -> bool {
        let is_first = self.bytes == 0 && !chunk.is_empty();
        self.bytes += chunk.len() as u64;
        if let Framing::Sse { .. } = self.framing {
            self.tail.push(chunk);
        }
        is_first && !matches!(self.framing, Framing::Refusal { .. })
    }

    /// Whether the last byte of a body of known length has passed. A server drops the body then, and does
    /// not ask for its end.
    pub(super) fn is_whole(&self) -> bool {
        self.framing.length() == Some(self.bytes)
    }

    pub(super) fn outcome(&self, end: BodyEnd) -> Outcome {
        let said = match self.framing {
            Framing::Refusal { .. } => return Outcome::Refused,
            Framing::Sse { .. } => self.tail.said(),
            Framing::Opaque { .. } => None,
        };
        match (said, end) {
            (Some(Said::Done), _) => Outcome::Complete,
            (Some(Said::Error), _) | (None, BodyEnd::Broken) => Outcome::Failed,
            (None, BodyEnd::Eof) if self.is_cut_off() => Outcome::Failed,
            (None, BodyEnd::Eof) => Outcome::Complete,
            (None, BodyEnd::Dropped) if self.is_whole() => Outcome::Complete,
            (None, BodyEnd::Dropped) if self.bytes == 0 => Outcome::Unserved,
            (None, BodyEnd::Dropped) => Outcome::ClientGone,
        }
    }

    /// The same rule as that of [`Relay::guard`](crate::Relay::guard), so that both paths are judged
    /// alike: the guard turns such an end into an error event, and the blocking path has no guard.
    fn is_cut_off(&self) -> bool {
        match self.framing {
            Framing::Sse { terminal } => terminal == Terminal::Required || !self.tail.at_boundary(),
            Framing::Opaque { .. } | Framing::Refusal { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    fn progress(content_type: &str, status: u16, length: Option<u64>) -> BodyProgress {
        judged(content_type, status, length, Terminal::Required)
    }

    fn judged(
        content_type: &str,
        status: u16,
        length: Option<u64>,
        terminal: Terminal,
    ) -> BodyProgress {
        let mut response = Response::builder()
            .status(status)
            .header("content-type", content_type);
        if let Some(length) = length {
            response = response.header("content-length", length);
        }
        BodyProgress::new(&response.body(()).unwrap().into_parts().0, terminal)
    }

    fn after(mut progress: BodyProgress, body: &str, end: BodyEnd) -> Outcome {
        progress.pass(body.as_bytes());
        progress.outcome(end)
    }

    #[test]
    fn an_event_stream_is_judged_by_its_last_event() {
        let of = |body, end| after(progress("text/event-stream", 200, None), body, end);
        let done = "data: 1\n\ndata: [DONE]\n\n";
        assert_eq!(of(done, BodyEnd::Dropped), Outcome::Complete);
        assert_eq!(of(done, BodyEnd::Eof), Outcome::Complete);
        assert_eq!(
            of("data: {\"error\":{}}\n\n", BodyEnd::Eof),
            Outcome::Failed
        );
        assert_eq!(of("data: 1\n\n", BodyEnd::Eof), Outcome::Failed);
        assert_eq!(of("data: 1", BodyEnd::Eof), Outcome::Failed);
        assert_eq!(of("data: 1\n\n", BodyEnd::Broken), Outcome::Failed);
        assert_eq!(of("data: 1\n\n", BodyEnd::Dropped), Outcome::ClientGone);
        assert_eq!(of("", BodyEnd::Dropped), Outcome::Unserved);
    }

    #[test]
    fn an_event_stream_that_needs_no_terminal_event_is_whole_between_two_events() {
        let of = |body| {
            let progress = judged("text/event-stream", 200, None, Terminal::Optional);
            after(progress, body, BodyEnd::Eof)
        };
        assert_eq!(of("data: 1\n\n"), Outcome::Complete);
        assert_eq!(of("data: 1"), Outcome::Failed);
    }

    #[test]
    fn a_body_of_known_length_is_whole_with_its_last_byte() {
        let of = |body, end| after(progress("text/plain", 200, Some(3)), body, end);
        assert_eq!(of("abc", BodyEnd::Dropped), Outcome::Complete);
        assert_eq!(of("ab", BodyEnd::Dropped), Outcome::ClientGone);
        assert_eq!(of("ab", BodyEnd::Broken), Outcome::Failed);
        assert_eq!(of("", BodyEnd::Dropped), Outcome::Unserved);
    }

    #[test]
    fn a_refusal_is_one_however_it_is_read_and_has_no_first_byte() {
        let mut refusal = progress("application/json", 503, Some(10));
        assert!(
            !refusal.pass(b"{"),
            "an error that is fast is not fast service"
        );
        assert_eq!(refusal.outcome(BodyEnd::Dropped), Outcome::Refused);
    }

    #[test]
    fn only_the_first_chunk_with_a_byte_is_the_first() {
        let mut progress = progress("text/event-stream", 200, None);
        let chunks = [&b""[..], b"data", b": 1\n\n"];
        assert_eq!(
            chunks.map(|chunk| progress.pass(chunk)),
            [false, true, false]
        );
    }

    #[test]
    fn the_labels_are_sorted_and_complete() {
        assert!(Outcome::LABELS.is_sorted());
        for outcome in [
            Outcome::Complete,
            Outcome::Failed,
            Outcome::Refused,
            Outcome::ClientGone,
            Outcome::Unserved,
        ] {
            assert!(Outcome::LABELS.contains(&outcome.label()));
        }
    }
}
