//! Anthropic's wire format: every event has a name, and there is no `[DONE]`.

use bytes::Bytes;
use serde::Serialize;

use super::answer::Answer;
use super::dialect::{Dialect, ON_PURPOSE};
use super::template::{HOLE, Template, json};
use crate::stream::Script;

/// A streamed message: start, block start, ping, text, block stop, delta with the reason, stop.
#[derive(Clone, Debug)]
pub struct MessageScript {
    answer: Answer,
    template: Template,
}

#[derive(Serialize)]
struct AnthropicMessage<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    role: &'static str,
    content: Vec<Text<'a>>,
    model: &'a str,
    stop_reason: Option<&'static str>,
    stop_sequence: Option<&'static str>,
    usage: AnthropicUsage,
}

#[derive(Serialize)]
struct Text<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    text: &'a str,
}

#[derive(Serialize)]
struct AnthropicUsage {
    input_tokens: u64,
    output_tokens: u64,
}

#[derive(Serialize)]
struct OutputUsage {
    output_tokens: u64,
}

#[derive(Serialize)]
struct Stop {
    stop_reason: &'static str,
    stop_sequence: Option<&'static str>,
}

/// The events of a stream. serde writes the event's name into `type` as well, as Anthropic does.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum MessageEvent<'a> {
    MessageStart { message: AnthropicMessage<'a> },
    ContentBlockStart { index: u32, content_block: Text<'a> },
    Ping,
    ContentBlockDelta { index: u32, delta: Text<'a> },
    ContentBlockStop { index: u32 },
    MessageDelta { delta: Stop, usage: OutputUsage },
    MessageStop,
}

impl MessageScript {
    /// The script of an answer.
    #[must_use]
    pub fn new(answer: Answer) -> Self {
        let delta = Text {
            kind: "text_delta",
            text: HOLE,
        };
        let template = Template::new(&MessageEvent::ContentBlockDelta { index: 0, delta }.text());
        Self { answer, template }
    }
}

impl Script for MessageScript {
    fn opening(&self) -> Option<Bytes> {
        let start = MessageEvent::MessageStart {
            message: message(&self.answer, Vec::new(), None, 1),
        };
        let content_block = Text {
            kind: "text",
            text: "",
        };
        let block = MessageEvent::ContentBlockStart {
            index: 0,
            content_block,
        };
        Some((start.text() + &block.text() + &MessageEvent::Ping.text()).into())
    }

    fn token(&self, k: u64) -> Bytes {
        self.template.fill(&self.answer.tokens, k)
    }

    fn closing(&self) -> Bytes {
        let delta = MessageEvent::MessageDelta {
            delta: Stop {
                stop_reason: stop_reason(&self.answer),
                stop_sequence: None,
            },
            usage: OutputUsage {
                output_tokens: self.answer.chunks,
            },
        };
        (MessageEvent::ContentBlockStop { index: 0 }.text()
            + &delta.text()
            + &MessageEvent::MessageStop.text())
            .into()
    }

    fn error(&self, kind: &str) -> Bytes {
        let error = Dialect::Anthropic.error(kind, ON_PURPOSE, None);
        format!("event: error\ndata: {error}\n\n").into()
    }
}

/// A message that is sent whole.
#[must_use]
pub fn whole(answer: &Answer) -> Bytes {
    let text = answer.tokens.text(answer.chunks);
    let content = vec![Text {
        kind: "text",
        text: &text,
    }];
    json(&message(
        answer,
        content,
        Some(stop_reason(answer)),
        answer.chunks,
    ))
    .into()
}

impl MessageEvent<'_> {
    fn text(&self) -> String {
        format!("event: {}\ndata: {}\n\n", self.name(), json(self))
    }

    fn name(&self) -> &'static str {
        match self {
            Self::MessageStart { .. } => "message_start",
            Self::ContentBlockStart { .. } => "content_block_start",
            Self::Ping => "ping",
            Self::ContentBlockDelta { .. } => "content_block_delta",
            Self::ContentBlockStop { .. } => "content_block_stop",
            Self::MessageDelta { .. } => "message_delta",
            Self::MessageStop => "message_stop",
        }
    }
}

fn message<'a>(
    answer: &'a Answer,
    content: Vec<Text<'a>>,
    stop_reason: Option<&'static str>,
    output_tokens: u64,
) -> AnthropicMessage<'a> {
    AnthropicMessage {
        id: &answer.id,
        kind: "message",
        role: "assistant",
        content,
        model: &answer.model,
        stop_reason,
        stop_sequence: None,
        usage: AnthropicUsage {
            input_tokens: answer.usage.prompt_tokens,
            output_tokens,
        },
    }
}

fn stop_reason(answer: &Answer) -> &'static str {
    if answer.finish_reason == "length" {
        "max_tokens"
    } else {
        "end_turn"
    }
}
