//! The formats on the wire; each knows how its events look, none knows when they are sent.

/// What all events of an answer share.
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
