//! OpenAI's wire format: what is sent, field by field.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::dialect::{Dialect, ON_PURPOSE};

/// The event that ends a stream.
pub const DONE: &str = "data: [DONE]\n\n";

/// A completion: sent whole, or one event of a stream. `C` is its kind of choice.
#[derive(Clone, Debug, Serialize)]
pub struct Completion<'a, C> {
    /// The same in all events of a stream.
    pub id: &'a str,
    /// `chat.completion`, `chat.completion.chunk` or `text_completion`.
    pub object: &'static str,
    /// Unix time in seconds, the same in all events of a stream.
    pub created: u64,
    /// The model that was asked for.
    pub model: &'a str,
    /// One choice, or none in the event that carries the usage.
    pub choices: Vec<C>,
    /// Always set in a completion that is sent whole. In a stream with `include_usage`, null in every
    /// event but the one that carries it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Option<Usage>>,
}

/// The choice in an event of a streamed chat completion.
#[derive(Clone, Debug, Serialize)]
pub struct ChunkChoice<'a> {
    /// Always 0.
    pub index: u32,
    /// What is new.
    pub delta: Delta<'a>,
    /// Set in the last event that has a choice.
    pub finish_reason: Option<&'static str>,
}

/// What is new in an event.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Delta<'a> {
    /// In the first event only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<&'a str>,
}

/// The choice in a chat completion that is sent whole.
#[derive(Clone, Debug, Serialize)]
pub struct ChatChoice<'a> {
    /// Always 0.
    pub index: u32,
    /// The answer.
    pub message: ChatMessage<'a>,
    /// `stop` or `length`.
    pub finish_reason: &'static str,
    /// Always null.
    pub logprobs: Option<()>,
}

/// The message of the assistant.
#[derive(Clone, Debug, Serialize)]
pub struct ChatMessage<'a> {
    /// `assistant`.
    pub role: &'static str,
    /// The text.
    pub content: &'a str,
}

/// The choice in a legacy completion, whole or one event of a stream.
#[derive(Clone, Debug, Serialize)]
pub struct CompletionChoice<'a> {
    /// The text.
    pub text: &'a str,
    /// Always 0.
    pub index: u32,
    /// Always null.
    pub logprobs: Option<()>,
    /// Set in the last event that has a choice.
    pub finish_reason: Option<&'static str>,
}

/// What an answer cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt, by a rule of thumb.
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    pub completion_tokens: u64,
    /// The sum.
    pub total_tokens: u64,
}

/// `GET /v1/models`.
#[derive(Clone, Debug, Serialize)]
pub struct Models<'a> {
    /// `list`.
    pub object: &'static str,
    /// The models.
    pub data: Vec<Model<'a>>,
}

/// One model.
#[derive(Clone, Debug, Serialize)]
pub struct Model<'a> {
    /// Its name.
    pub id: &'a str,
    /// `model`.
    pub object: &'static str,
    /// Unix time in seconds.
    pub created: u64,
    /// Whose it is.
    pub owned_by: &'static str,
}

/// An error in the middle of a stream, as an event.
#[must_use]
pub fn error_event(kind: &str) -> Bytes {
    let error = Dialect::OpenAi.error(kind, ON_PURPOSE, None);
    format!("data: {error}\n\n").into()
}

impl Usage {
    /// The usage of an answer.
    #[must_use]
    pub fn new(prompt_tokens: u64, completion_tokens: u64) -> Self {
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens + completion_tokens,
        }
    }
}
