use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use service::{HangUp, Peer};

use super::Ledger;
use super::record::{Cause, Kind, Phase, StreamRecord};

/// The account of one stream: whoever answers the request owns it, and its drop closes the account,
/// however the answer ends. A count that is lowered only at a natural end leaks.
#[derive(Debug)]
pub struct Guard {
    ledger: Arc<Ledger>,
    entry: Arc<Entry>,
    peer: Option<Peer>,
    ending: Ending,
}

/// What is shared with those who look at the open streams.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: u64,
    pub(super) request_id: Arc<str>,
    pub(super) kind: Kind,
    pub(super) peer: String,
    pub(super) started_us: u64,
    phase: AtomicU8,
    chunks: AtomicU64,
    last_write_us: AtomicU64,
}

/// How an answer is about to end, as far as its sender knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// There is more to send.
    Unfinished,
    /// The terminal event is written, the end of the body is not.
    TerminalWritten,
    /// The sender has ended it for this cause.
    Declared(Cause),
}

/// Microseconds since the Unix epoch, by this host's clock.
#[must_use]
pub fn unix_us() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

impl Guard {
    pub(super) fn new(ledger: Arc<Ledger>, entry: Arc<Entry>, peer: Option<Peer>) -> Self {
        Self {
            ledger,
            entry,
            peer,
            ending: Ending::Unfinished,
        }
    }

    /// Number of the stream in the ledger.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.entry.id
    }

    /// The response head is about to be sent.
    pub fn head_sent(&self) {
        self.entry.enter(Phase::BeforeFirstToken);
    }

    /// Another token is written; `last` if no further one comes.
    pub fn token_written(&self, last: bool) {
        self.tokens_written(1, last);
    }

    /// Several tokens are written at once; `last` if no further one comes.
    pub fn tokens_written(&self, count: u64, last: bool) {
        self.entry.chunks.fetch_add(count, Ordering::Relaxed);
        self.entry.last_write_us.store(unix_us(), Ordering::Relaxed);
        self.entry.enter(if last {
            Phase::AfterLastContent
        } else {
            Phase::Decoding
        });
    }

    /// The event that tells the client that this was all is written.
    pub fn terminal_written(&mut self) {
        self.ending = Ending::TerminalWritten;
    }

    /// The sender ends the answer for this cause; a hang-up from now on changes nothing.
    pub fn declare(&mut self, cause: Cause) {
        self.ending = Ending::Declared(cause);
    }

    /// Makes the close of the connection a reset.
    pub fn reset_on_close(&self) {
        if let Some(peer) = &self.peer {
            peer.reset_on_close();
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // The connection reads before it drops the body, so a hang-up is already known here.
        let hang_up = self.peer.as_ref().and_then(Peer::hang_up);
        self.ledger
            .close(&self.entry, verdict(self.ending, hang_up));
    }
}

/// Why a stream ended, from what its sender had done and how its client left.
fn verdict(ending: Ending, hang_up: Option<HangUp>) -> Cause {
    match (ending, hang_up) {
        (Ending::Declared(cause), _) => cause,
        (Ending::TerminalWritten, _) => Cause::ClosedAfterLastContent,
        (Ending::Unfinished, Some(HangUp::Fin)) => Cause::ClientFin,
        (Ending::Unfinished, Some(_)) => Cause::ClientRst,
        (Ending::Unfinished, None) => Cause::ServerClosed,
    }
}

impl Entry {
    pub(super) fn new(
        id: u64,
        request_id: Arc<str>,
        kind: Kind,
        peer: String,
        started_us: u64,
    ) -> Self {
        Self {
            id,
            request_id,
            kind,
            peer,
            started_us,
            phase: AtomicU8::new(0),
            chunks: AtomicU64::new(0),
            last_write_us: AtomicU64::new(0),
        }
    }

    pub(super) fn record(&self, end: Option<(Cause, u64)>) -> StreamRecord {
        let last_write_us = self.last_write_us.load(Ordering::Relaxed);
        StreamRecord {
            id: self.id,
            request_id: self.request_id.to_string(),
            kind: self.kind,
            peer: self.peer.clone(),
            started_us: self.started_us,
            chunks: self.chunks.load(Ordering::Relaxed),
            last_write_us: (last_write_us > 0).then_some(last_write_us),
            ended_us: end.map(|(_, ended_us)| ended_us),
            phase: Phase::ALL[usize::from(self.phase.load(Ordering::Relaxed))],
            cause: end.map(|(cause, _)| cause),
        }
    }

    fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_leaves_before_the_end_is_an_abort_told_apart_by_how_it_left() {
        assert_eq!(
            verdict(Ending::Unfinished, Some(HangUp::Fin)),
            Cause::ClientFin
        );
        assert_eq!(
            verdict(Ending::Unfinished, Some(HangUp::Reset)),
            Cause::ClientRst
        );
        assert_eq!(verdict(Ending::Unfinished, None), Cause::ServerClosed);
    }

    #[test]
    fn a_client_that_leaves_after_the_terminal_event_has_got_everything() {
        for hang_up in [None, Some(HangUp::Fin), Some(HangUp::Reset)] {
            let cause = verdict(Ending::TerminalWritten, hang_up);
            assert_eq!(cause, Cause::ClosedAfterLastContent);
            assert_eq!(cause.class(), super::super::Class::Completed);
        }
    }

    #[test]
    fn what_the_sender_declared_outweighs_how_the_client_left() {
        assert_eq!(
            verdict(Ending::Declared(Cause::Cut), Some(HangUp::Reset)),
            Cause::Cut
        );
    }

    #[test]
    fn the_phases_are_numbered_as_the_list_has_them() {
        for (number, phase) in Phase::ALL.into_iter().enumerate() {
            assert_eq!(phase as usize, number);
        }
    }
}
