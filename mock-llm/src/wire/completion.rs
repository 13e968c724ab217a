use bytes::Bytes;

use super::answer::Answer;
use super::openai::{CompletionChoice, error_event};
use super::template::{HOLE, Template};
use crate::stream::Script;

/// The `object` of an answer and of each event of a stream.
const COMPLETION: &str = "text_completion";

/// A streamed legacy completion: tokens, finish reason, usage if asked for, `[DONE]`.
#[derive(Clone, Debug)]
pub struct CompletionScript {
    answer: Answer,
    template: Template,
}

impl CompletionScript {
    /// The script of an answer.
    #[must_use]
    pub fn new(answer: Answer) -> Self {
        let template = Template::new(&answer.event(COMPLETION, choice(HOLE, None)));
        Self { answer, template }
    }
}

impl Script for CompletionScript {
    fn opening(&self) -> Option<Bytes> {
        None
    }

    fn token(&self, k: u64) -> Bytes {
        self.template.fill(&self.answer.tokens, k)
    }

    fn closing(&self) -> Bytes {
        let finish = choice("", Some(self.answer.finish_reason));
        let finish = self.answer.event(COMPLETION, finish);
        (finish + &self.answer.end_of_stream(COMPLETION)).into()
    }

    fn error(&self, kind: &str) -> Bytes {
        error_event(kind)
    }
}

/// A legacy completion that is sent whole.
#[must_use]
pub fn whole(answer: &Answer) -> Bytes {
    let text = answer.tokens.text(answer.chunks);
    answer.whole(COMPLETION, choice(&text, Some(answer.finish_reason)))
}

fn choice<'a>(text: &'a str, finish_reason: Option<&'static str>) -> CompletionChoice<'a> {
    CompletionChoice {
        text,
        index: 0,
        logprobs: None,
        finish_reason,
    }
}
