use bytes::Bytes;

use super::answer::Answer;
use super::openai::{Completion, CompletionChoice, DONE, Usage, error_event};
use super::template::{HOLE, Template, event, json};
use crate::stream::Script;

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
        let template = Template::new(&event(&stream_event(
            &answer,
            vec![choice(HOLE, None)],
            None,
        )));
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
        let mut events = event(&stream_event(&self.answer, vec![finish], None));
        if self.answer.include_usage {
            events += &event(&stream_event(
                &self.answer,
                Vec::new(),
                Some(self.answer.usage),
            ));
        }
        [events.as_bytes(), DONE].concat().into()
    }

    fn error(&self, kind: &str) -> Bytes {
        error_event(kind)
    }
}

/// A legacy completion that is sent whole.
#[must_use]
pub fn whole(answer: &Answer) -> Bytes {
    let text = answer.tokens.text(answer.chunks);
    let choices = vec![choice(&text, Some(answer.finish_reason))];
    json(&completion(answer, choices, Some(Some(answer.usage)))).into()
}

fn choice<'a>(text: &'a str, finish_reason: Option<&'static str>) -> CompletionChoice<'a> {
    CompletionChoice {
        text,
        index: 0,
        logprobs: None,
        finish_reason,
    }
}

fn stream_event<'a>(
    answer: &'a Answer,
    choices: Vec<CompletionChoice<'a>>,
    usage: Option<Usage>,
) -> Completion<'a> {
    completion(answer, choices, answer.include_usage.then_some(usage))
}

fn completion<'a>(
    answer: &'a Answer,
    choices: Vec<CompletionChoice<'a>>,
    usage: Option<Option<Usage>>,
) -> Completion<'a> {
    Completion {
        id: &answer.id,
        object: "text_completion",
        created: answer.created,
        model: &answer.model,
        choices,
        usage,
    }
}
