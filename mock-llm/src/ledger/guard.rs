use std::any::Any;
use std::sync::Arc;

use super::Ledger;
use super::entry::{OpenAccount, Opening};
use super::record::{Cause, Phase};
use crate::socket::{HowLeft, Peer};

/// The account of one stream. The answer owns it, and dropping it closes the account, however the answer
/// ends. (A count that is lowered only at a regular end would leak.)
#[derive(Debug)]
pub struct Guard {
    ledger: Arc<Ledger>,
    entry: Arc<OpenAccount>,
    peer: Option<Peer>,
    ending: SenderEnding,
    kept: Vec<Box<dyn Any + Send + Sync>>,
}

/// How an answer is about to end, as far as its sender knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SenderEnding {
    /// There is more to send.
    Unfinished,
    /// The terminal event is written, the end of the body is not.
    TerminalWritten,
    /// The sender has ended it for this cause.
    Declared(Cause),
}

impl Ledger {
    /// Opens the account of a stream, which is queued or runs, as `phase` says.
    #[must_use]
    pub fn open(self: &Arc<Self>, opening: Opening, phase: Phase) -> Guard {
        Guard {
            ledger: Arc::clone(self),
            entry: self.books().open(&opening, phase),
            peer: opening.peer,
            ending: SenderEnding::Unfinished,
            kept: Vec::new(),
        }
    }
}

impl Guard {
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
        self.ending = SenderEnding::TerminalWritten;
    }

    /// The sender ends the answer for this cause. A hang-up afterwards does not change the cause.
    pub fn declare(&mut self, cause: Cause) {
        self.ending = SenderEnding::Declared(cause);
    }

    /// Makes the close of the connection a reset.
    pub fn reset_on_close(&self) {
        if let Some(peer) = &self.peer {
            peer.reset_on_close();
        }
    }

    /// Whether the connection may have other streams, which go on when this one ends.
    #[must_use]
    pub fn is_multiplexed(&self) -> bool {
        self.peer.as_ref().is_some_and(Peer::is_multiplexed)
    }

    /// Ends the connection soon, and with it all its streams.
    pub fn give_connection_up(&self) {
        if let Some(peer) = &self.peer {
            peer.give_up();
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // The connection reads before it drops the body, so it knows of a hang-up by now.
        let hang_up = self.peer.as_ref().and_then(Peer::hang_up);
        // The connection lives on, and only this stream has ended.
        let alone = |peer: &Peer| peer.is_multiplexed() && !peer.is_closed();
        let left = match hang_up {
            Some(hang_up) => Some(ClientLeft::Connection(hang_up.how)),
            None => self
                .peer
                .as_ref()
                .is_some_and(alone)
                .then_some(ClientLeft::Stream),
        };
        let cause = verdict(self.ending, left);
        let hang_up_us = hang_up.map(|hang_up| hang_up.noticed_us);
        self.ledger.close(&self.entry, cause, hang_up_us);
    }
}

/// What the client has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientLeft {
    /// This stream; its connection lives.
    Stream,
    /// The connection.
    Connection(HowLeft),
}

/// Why a stream ended, by what its sender had done and how its client left.
fn verdict(ending: SenderEnding, left: Option<ClientLeft>) -> Cause {
    match (ending, left) {
        (SenderEnding::Declared(cause), _) => cause,
        // What was written did not get out of the connection.
        (_, Some(ClientLeft::Connection(HowLeft::TookNothing))) => Cause::WriteTimeout,
        (SenderEnding::TerminalWritten, _) => Cause::ClosedAfterLastContent,
        (SenderEnding::Unfinished, Some(ClientLeft::Connection(HowLeft::Fin))) => Cause::ClientFin,
        (SenderEnding::Unfinished, Some(ClientLeft::Connection(HowLeft::Reset))) => {
            Cause::ClientRst
        }
        (SenderEnding::Unfinished, Some(ClientLeft::Stream)) => Cause::ClientStreamReset,
        (SenderEnding::Unfinished, None) => Cause::ServerClosed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIN: Option<ClientLeft> = Some(ClientLeft::Connection(HowLeft::Fin));
    const RST: Option<ClientLeft> = Some(ClientLeft::Connection(HowLeft::Reset));
    const TOOK_NOTHING: Option<ClientLeft> = Some(ClientLeft::Connection(HowLeft::TookNothing));

    #[test]
    fn a_client_that_leaves_before_the_end_is_an_abort_told_apart_by_how_it_left() {
        for (left, cause) in [
            (FIN, Cause::ClientFin),
            (RST, Cause::ClientRst),
            (Some(ClientLeft::Stream), Cause::ClientStreamReset),
            (None, Cause::ServerClosed),
        ] {
            assert_eq!(verdict(SenderEnding::Unfinished, left), cause);
            assert_eq!(cause.class(), super::super::Class::Aborted);
        }
        for ending in [SenderEnding::Unfinished, SenderEnding::TerminalWritten] {
            assert_eq!(verdict(ending, TOOK_NOTHING), Cause::WriteTimeout);
        }
    }

    #[test]
    fn a_client_that_leaves_after_the_terminal_event_has_got_everything() {
        for left in [None, FIN, RST, Some(ClientLeft::Stream)] {
            let cause = verdict(SenderEnding::TerminalWritten, left);
            assert_eq!(cause, Cause::ClosedAfterLastContent);
            assert_eq!(cause.class(), super::super::Class::Completed);
        }
    }

    #[test]
    fn what_the_sender_declared_outweighs_how_the_client_left() {
        let cut = SenderEnding::Declared(Cause::Cut);
        for left in [None, RST, Some(ClientLeft::Stream)] {
            assert_eq!(verdict(cut, left), Cause::Cut);
        }
    }
}
