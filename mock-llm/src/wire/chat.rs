use bytes::Bytes;

use super::answer::Answer;
use super::openai::{
    Chat, ChatChoice, ChatChunk, ChatMessage, ChunkChoice, DONE, Delta, Usage, error_event,
};
use super::template::{HOLE, Template, event, json};
use crate::stream::Script;

/// A streamed chat completion: role, tokens, finish reason, usage if asked for, `[DONE]`.
#[derive(Clone, Debug)]
pub struct ChatScript {
    answer: Answer,
    template: Template,
}

impl ChatScript {
    /// The script of an answer.
    #[must_use]
    pub fn new(answer: Answer) -> Self {
        let token = Delta {
            content: Some(HOLE),
            ..Delta::default()
        };
        let template = Template::new(&delta(&answer, token, None));
        Self { answer, template }
    }
}

impl Script for ChatScript {
    fn opening(&self) -> Option<Bytes> {
        let role = Delta {
            role: Some("assistant"),
            content: Some(""),
        };
        Some(delta(&self.answer, role, None).into())
    }

    fn token(&self, k: u64) -> Bytes {
        self.template.fill(&self.answer.tokens, k)
    }

    fn closing(&self) -> Bytes {
        let mut events = delta(
            &self.answer,
            Delta::default(),
            Some(self.answer.finish_reason),
        );
        if self.answer.include_usage {
            events += &event(&chunk(&self.answer, Vec::new(), Some(self.answer.usage)));
        }
        [events.as_bytes(), DONE].concat().into()
    }

    fn error(&self, kind: &str) -> Bytes {
        error_event(kind)
    }
}

/// A chat completion that is sent whole.
#[must_use]
pub fn whole(answer: &Answer) -> Bytes {
    let content = answer.tokens.text(answer.chunks);
    json(&Chat {
        id: &answer.id,
        object: "chat.completion",
        created: answer.created,
        model: &answer.model,
        choices: [ChatChoice {
            index: 0,
            message: ChatMessage {
                role: "assistant",
                content: &content,
            },
            finish_reason: answer.finish_reason,
            logprobs: None,
        }],
        usage: answer.usage,
    })
    .into()
}

fn delta(answer: &Answer, delta: Delta<'_>, finish_reason: Option<&'static str>) -> String {
    let choice = ChunkChoice {
        index: 0,
        delta,
        finish_reason,
    };
    event(&chunk(answer, vec![choice], None))
}

fn chunk<'a>(
    answer: &'a Answer,
    choices: Vec<ChunkChoice<'a>>,
    usage: Option<Usage>,
) -> ChatChunk<'a> {
    ChatChunk {
        id: &answer.id,
        object: "chat.completion.chunk",
        created: answer.created,
        model: &answer.model,
        choices,
        usage: answer.include_usage.then_some(usage),
    }
}
