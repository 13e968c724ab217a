use serde::{Deserialize, Serialize};

/// What is asked for: the route, and whether the answer is streamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// `GET /slow_stream`.
    SlowStream,
    /// `POST /v1/chat/completions`, streamed.
    ChatStream,
    /// `POST /v1/chat/completions`, sent whole.
    Chat,
    /// `POST /v1/completions`, streamed.
    CompletionStream,
    /// `POST /v1/completions`, sent whole.
    Completion,
    /// `POST /v1/messages`, streamed.
    MessageStream,
    /// `POST /v1/messages`, sent whole.
    Message,
}

/// How far a stream has got, or had got when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// Waits until it may run, or was refused because too many wait.
    Queued,
    /// Runs, and the response head is not sent yet. An answer that is sent whole stays here until it is
    /// due.
    Headers,
    /// The head is sent, no token yet.
    BeforeFirstToken,
    /// At least one token is written, but not the last.
    Decoding,
    /// The last token is written.
    AfterLastContent,
}

/// Why a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// Everything was handed to the connection.
    Completed,
    /// The terminal event was written and the client closed without reading to the end of the body,
    /// as openai-python does at `[DONE]`. Counts as completed.
    ClosedAfterLastContent,
    /// Turned away with 429, because the queue was full.
    Refused,
    /// A fault: an error status instead of a stream.
    StatusSent,
    /// A fault: an error event in the stream, or an error instead of an answer sent whole.
    ErrorSent,
    /// A fault: a clean end without the terminal event.
    Eof,
    /// A fault: the connection closed without the end of the body; over HTTP/2, the stream reset.
    Cut,
    /// A fault: the connection reset.
    Reset,
    /// The client closed, or shut down its writing half.
    ClientFin,
    /// The client reset the connection, as a close with unread data does.
    ClientRst,
    /// The client reset its stream, over HTTP/2; the connection goes on.
    ClientStreamReset,
    /// The client took nothing of what was written to it for as long as the write timeout allows.
    WriteTimeout,
    /// The mock itself ended, or the connection ended for no reason that the peer gave.
    ServerClosed,
}

/// The three ways to end, in the conservation law: started = completed + errored + aborted + open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The client got everything.
    Completed,
    /// The mock failed on purpose, or turned it away.
    Errored,
    /// The client left, or was left.
    Aborted,
}

/// One line of the ledger. Times are microseconds since the Unix epoch, by this host's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamRecord {
    /// Number of the stream in this ledger, from 1.
    pub id: u64,
    /// The `x-request-id` of the request, or the one generated for it.
    pub request_id: String,
    /// What was asked for.
    pub kind: Kind,
    /// Address of the client.
    pub peer: String,
    /// Which attempt it is by the client's `x-stainless-retry-count`, from 0. Above 0 it repeats an
    /// earlier request.
    pub retry: u32,
    /// When the request arrived.
    pub started_us: u64,
    /// When it was admitted to run, with or without a wait in the queue.
    pub admitted_us: Option<u64>,
    /// Tokens written to the connection. Its buffers may hold what the client has not received.
    pub chunks: u64,
    /// When the last of them was written.
    pub last_write_us: Option<u64>,
    /// When the stream ended and released all that it held. The history is sorted by it, unless the
    /// host's clock is set back.
    pub ended_us: Option<u64>,
    /// When the connection noticed that the client was gone, if it did before the stream ended.
    pub hang_up_us: Option<u64>,
    /// How far it has got.
    pub phase: Phase,
    /// Why it ended.
    pub cause: Option<Cause>,
}

impl Phase {
    /// All phases, in order.
    pub const ALL: [Self; 5] = [
        Self::Queued,
        Self::Headers,
        Self::BeforeFirstToken,
        Self::Decoding,
        Self::AfterLastContent,
    ];
}

impl Cause {
    /// All causes.
    pub const ALL: [Self; 13] = [
        Self::Completed,
        Self::ClosedAfterLastContent,
        Self::Refused,
        Self::StatusSent,
        Self::ErrorSent,
        Self::Eof,
        Self::Cut,
        Self::Reset,
        Self::ClientFin,
        Self::ClientRst,
        Self::ClientStreamReset,
        Self::WriteTimeout,
        Self::ServerClosed,
    ];

    /// Where it counts in the conservation law.
    #[must_use]
    pub fn class(self) -> Class {
        match self {
            Self::Completed | Self::ClosedAfterLastContent => Class::Completed,
            Self::Refused
            | Self::StatusSent
            | Self::ErrorSent
            | Self::Eof
            | Self::Cut
            | Self::Reset => Class::Errored,
            Self::ClientFin
            | Self::ClientRst
            | Self::ClientStreamReset
            | Self::WriteTimeout
            | Self::ServerClosed => Class::Aborted,
        }
    }
}
