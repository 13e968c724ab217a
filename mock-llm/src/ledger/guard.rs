use std::any::Any;
use std::sync::Arc;

use super::Ledger;
use super::entry::Entry;
use super::record::{Cause, Phase};
use crate::socket::{HowLeft, Peer};

/// The account of one stream: whoever answers the request owns it, and its drop closes the account,
/// however the answer ends. A count that is lowered only at a natural end leaks.
#[derive(Debug)]
pub struct Guard {
    ledger: Arc<Ledger>,
    entry: Arc<Entry>,
    peer: Option<Peer>,
    ending: Ending,
    kept: Vec<Box<dyn Any + Send + Sync>>,
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

impl Guard {
    pub(super) fn new(ledger: Arc<Ledger>, entry: Arc<Entry>, peer: Option<Peer>) -> Self {
        Self {
            ledger,
            entry,
            peer,
            ending: Ending::Unfinished,
            kept: Vec::new(),
        }
    }

    /// Number of the stream in the ledger.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.entry.id
    }

    /// Keeps something until the account is closed, and drops it right after.
    pub fn keep(&mut self, kept: impl Any + Send + Sync) {
        self.kept.push(Box::new(kept));
    }

    /// The stream leaves the queue.
    pub fn admitted(&self) {
        self.ledger.admit(&self.entry);
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
        self.entry.wrote(count);
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
        let cause = verdict(self.ending, hang_up.map(|hang_up| hang_up.how));
        let hang_up_us = hang_up.map(|hang_up| hang_up.noticed_us);
        self.ledger.close(&self.entry, cause, hang_up_us);
    }
}

/// Why a stream ended, from what its sender had done and how its client left.
fn verdict(ending: Ending, left: Option<HowLeft>) -> Cause {
    match (ending, left) {
        (Ending::Declared(cause), _) => cause,
        // Written to the connection, which could not pass it on.
        (_, Some(HowLeft::TookNothing)) => Cause::WriteTimeout,
        (Ending::TerminalWritten, _) => Cause::ClosedAfterLastContent,
        (Ending::Unfinished, Some(HowLeft::Fin)) => Cause::ClientFin,
        (Ending::Unfinished, Some(HowLeft::Reset)) => Cause::ClientRst,
        (Ending::Unfinished, None) => Cause::ServerClosed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_leaves_before_the_end_is_an_abort_told_apart_by_how_it_left() {
        assert_eq!(
            verdict(Ending::Unfinished, Some(HowLeft::Fin)),
            Cause::ClientFin
        );
        assert_eq!(
            verdict(Ending::Unfinished, Some(HowLeft::Reset)),
            Cause::ClientRst
        );
        assert_eq!(verdict(Ending::Unfinished, None), Cause::ServerClosed);
        for ending in [Ending::Unfinished, Ending::TerminalWritten] {
            assert_eq!(
                verdict(ending, Some(HowLeft::TookNothing)),
                Cause::WriteTimeout
            );
        }
    }

    #[test]
    fn a_client_that_leaves_after_the_terminal_event_has_got_everything() {
        for left in [None, Some(HowLeft::Fin), Some(HowLeft::Reset)] {
            let cause = verdict(Ending::TerminalWritten, left);
            assert_eq!(cause, Cause::ClosedAfterLastContent);
            assert_eq!(cause.class(), super::super::Class::Completed);
        }
    }

    #[test]
    fn what_the_sender_declared_outweighs_how_the_client_left() {
        assert_eq!(
            verdict(Ending::Declared(Cause::Cut), Some(HowLeft::Reset)),
            Cause::Cut
        );
    }
}
