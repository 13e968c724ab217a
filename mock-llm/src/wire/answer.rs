use super::openai::Usage;
use super::request::CompletionRequest;
use super::template::Tokens;
use crate::plan::Plan;

/// The parts that all events of an answer share, and how it ends.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its id.
    pub id: String,
    /// Unix time in seconds.
    pub created: u64,
    /// The model that was asked for.
    pub model: String,
    /// Number of tokens, the request's limit observed.
    pub chunks: u64,
    /// Their text.
    pub tokens: Tokens,
    /// `stop`, or `length` if the limit cut it short.
    pub finish_reason: &'static str,
    /// What it cost.
    pub usage: Usage,
    /// Whether a stream carries the usage.
    pub include_usage: bool,
}

impl Answer {
    /// The answer to a request that came at `created`.
    #[must_use]
    pub fn new(id: String, created: u64, request: CompletionRequest, plan: &Plan) -> Self {
        let chunks = request
            .limit
            .map_or(plan.chunks, |limit| limit.min(plan.chunks));
        Self {
            id,
            created,
            chunks,
            tokens: Tokens::new(plan.bytes, plan.is_wide()),
            finish_reason: if chunks < plan.chunks {
                "length"
            } else {
                "stop"
            },
            usage: Usage::new(request.prompt_tokens, chunks),
            include_usage: request.include_usage,
            model: request.model,
        }
    }
}
