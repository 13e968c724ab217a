//! The formats on the wire. Each knows how its events look, and none knows when they are sent.

/// The parts that all events of an answer share.
pub mod answer;
pub mod anthropic;
/// Chat completions.
pub mod chat;
/// Legacy completions.
pub mod completion;
/// Whose format an endpoint speaks.
pub mod dialect;
pub mod openai;
/// The plain stream.
pub mod plain;
/// What clients ask.
pub mod request;
/// Events that are serialised once.
pub mod template;
