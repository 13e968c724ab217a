use bytes::Bytes;

/// What a stream says, in its wire format, with no notion of time.
pub trait Script: Send + Unpin + 'static {
    /// The bytes right before the first token.
    fn opening(&self) -> Option<Bytes>;

    /// The event of token `k`, from 0.
    fn token(&self, k: u64) -> Bytes;

    /// The bytes right after the last token, with the terminal event.
    fn closing(&self) -> Bytes;

    /// An error in the middle of the stream.
    fn error(&self, kind: &str) -> Bytes;
}
