use bytes::Bytes;

use super::answer::Answer;
use super::openai::{ChatChoice, ChatMessage, ChunkChoice, Delta, error_event};
use super::template::{HOLE, Template};
use crate::stream::Script;

/// The `object` of each event of a stream.
const CHUNK: &str = "chat.completion.chunk";

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
        let reason = Some(self.answer.finish_reason);
        let finish = delta(&self.answer, Delta::default(), reason);
        (finish + &self.answer.end_of_stream(CHUNK)).into()
    }

    fn error(&self, kind: &str) -> Bytes {
        error_event(kind)
    }
}

/// A chat completion that is sent whole.
#[must_use]
pub fn whole(answer: &Answer) -> Bytes {
    let content = answer.tokens.text(answer.chunks);
    let choice = ChatChoice {
        index: 0,
        message: ChatMessage {
            role: "assistant",
            content: &content,
        },
        finish_reason: answer.finish_reason,
        logprobs: None,
    };
    answer.whole("chat.completion", choice)
}

fn delta(answer: &Answer, delta: Delta<'_>, finish_reason: Option<&'static str>) -> String {
    let choice = ChunkChoice {
        index: 0,
        delta,
        finish_reason,
    };
    answer.event(CHUNK, choice)
}
