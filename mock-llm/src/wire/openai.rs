//! OpenAI's wire format: what is sent, field by field.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::dialect::{Dialect, ON_PURPOSE};

/// The event that ends a stream.
pub const DONE: &[u8] = b"data: [DONE]\n\n";

/// One event of a streamed chat completion.
#[derive(Clone, Debug, Serialize)]
pub struct ChatChunk<'a> {
    /// The same in all events of a stream.
    pub id: &'a str,
    /// `chat.completion.chunk`.
    pub object: &'static str,
    /// Unix time in seconds, the same in all events of a stream.
    pub created: u64,
    /// The model that was asked for.
    pub model: &'a str,
    /// One choice, or none in the event that carries the usage.
    pub choices: Vec<ChunkChoice<'a>>,
    /// With `include_usage`: null in every event but the one that carries it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Option<Usage>>,
}

/// The choice in a [`ChatChunk`].
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

/// A chat completion that is sent whole.
#[derive(Clone, Debug, Serialize)]
pub struct Chat<'a> {
    /// Its id.
    pub id: &'a str,
    /// `chat.completion`.
    pub object: &'static str,
    /// Unix time in seconds.
    pub created: u64,
    /// The model that was asked for.
    pub model: &'a str,
    /// One choice.
    pub choices: [ChatChoice<'a>; 1],
    /// What it cost.
    pub usage: Usage,
}

/// The choice in a [`Chat`].
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

/// A legacy completion, whole or one event of a stream.
#[derive(Clone, Debug, Serialize)]
pub struct Completion<'a> {
    /// The same in all events of a stream.
    pub id: &'a str,
    /// `text_completion`.
    pub object: &'static str,
    /// Unix time in seconds.
    pub created: u64,
    /// The model that was asked for.
    pub model: &'a str,
    /// One choice, or none in the event that carries the usage.
    pub choices: Vec<CompletionChoice<'a>>,
    /// As in a [`ChatChunk`]; always set in a completion that is sent whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Option<Usage>>,
}

/// The choice in a [`Completion`].
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
