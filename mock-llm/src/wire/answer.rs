use bytes::Bytes;
use serde::Serialize;

use super::openai::{Completion, DONE, Usage};
use super::request::CompletionRequest;
use super::template::{Tokens, event, json};
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

    /// An event of an OpenAI stream with this choice.
    pub(super) fn event<C: Serialize>(&self, object: &'static str, choice: C) -> String {
        event(&self.completion(object, vec![choice], self.include_usage.then_some(None)))
    }

    /// The end of an OpenAI stream after its last choice: the usage, if it was asked for, and `[DONE]`.
    pub(super) fn end_of_stream(&self, object: &'static str) -> String {
        if !self.include_usage {
            return DONE.to_owned();
        }
        let usage: Completion<'_, ()> = self.completion(object, Vec::new(), Some(Some(self.usage)));
        event(&usage) + DONE
    }

    /// An OpenAI answer that is sent whole, with this choice.
    pub(super) fn whole<C: Serialize>(&self, object: &'static str, choice: C) -> Bytes {
        json(&self.completion(object, vec![choice], Some(Some(self.usage)))).into()
    }

    fn completion<C>(
        &self,
        object: &'static str,
        choices: Vec<C>,
        usage: Option<Option<Usage>>,
    ) -> Completion<'_, C> {
        Completion {
            id: &self.id,
            object,
            created: self.created,
            model: &self.model,
            choices,
            usage,
        }
    }
}
