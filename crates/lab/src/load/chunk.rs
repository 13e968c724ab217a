use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

/// What the data of one event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// A piece of content.
    Content {
        /// Its number in the stream, from 0, if the service numbers its chunks.
        number: Option<u64>,
        /// How many the stream has, if the service says so.
        of: Option<u64>,
    },
    /// The terminal marker.
    Done,
    /// An error in the stream.
    Error,
    /// Something else: a role, a finish reason, a usage figure.
    Other,
    /// What only keeps the connection busy.
    Ping,
}

/// How strictly a stream is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// As one of the lab's own upstream: numbered chunks, of which none is missing, and a terminal
    /// marker.
    Numbered,
    /// As one of any service: what is not known to be something else is content, numbers mean nothing,
    /// and a stream is whole when it ends.
    Any,
}

impl Reading {
    /// Reads an event that may have a name.
    #[must_use]
    pub fn read_event(self, name: &[u8], data: &[u8]) -> Chunk {
        match (self, name) {
            (Self::Any, b"ping" | b"heartbeat" | b"keepalive" | b"keep-alive") => Chunk::Ping,
            (Self::Any, b"error") => Chunk::Error,
            _ => self.read(data),
        }
    }

    /// Reads the data of one event.
    #[must_use]
    pub fn read(self, data: &[u8]) -> Chunk {
        match self {
            Self::Numbered => read_chunk(data),
            Self::Any => read_any(data),
        }
    }
}

#[derive(Deserialize)]
struct Event {
    chunk: Option<u64>,
    of: Option<u64>,
    error: Option<IgnoredAny>,
    choices: Option<Vec<Choice>>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Delta>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
}

/// What a piece of a service's stream is if nothing else is known of it.
pub(super) const CONTENT: Chunk = Chunk::Content {
    number: None,
    of: None,
};

/// Names of what a choice of OpenAI's holds beside content.
const NO_CONTENT: [&str; 6] = [
    "role",
    "index",
    "finish_reason",
    "logprobs",
    "native_finish_reason",
    "stop_reason",
];

/// Reads the data of one event of a service that nothing is known of. The events of OpenAI (chat,
/// completions, responses) and of Anthropic that carry no content are known as such.
fn read_any(data: &[u8]) -> Chunk {
    let data = data.trim_ascii();
    if data == b"[DONE]" {
        return Chunk::Done;
    }
    let Ok(Value::Object(event)) = serde_json::from_slice(data) else {
        return CONTENT;
    };
    let is_error = |value: &Value| !matches!(value, Value::Null | Value::Bool(false));
    if event.get("error").is_some_and(is_error) {
        return Chunk::Error;
    }
    if let Some(choices) = event.get("choices").and_then(Value::as_array) {
        let has_content = choices.iter().any(says_something);
        return if has_content { CONTENT } else { Chunk::Other };
    }
    match event.get("type").and_then(Value::as_str) {
        Some("message_stop" | "response.completed" | "response.incomplete") => Chunk::Done,
        Some("error" | "response.failed") => Chunk::Error,
        Some("ping") => Chunk::Ping,
        Some("message_start" | "message_delta" | "content_block_start" | "content_block_stop") => {
            Chunk::Other
        }
        Some(kind) if kind.starts_with("response.") && !kind.ends_with(".delta") => Chunk::Other,
        _ => CONTENT,
    }
}

/// Whether a choice of OpenAI's has a piece of text, reasoning or a tool call in it.
fn says_something(choice: &Value) -> bool {
    let is_told = |(name, value): (&String, &Value)| {
        let is_empty = match value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(parts) => parts.is_empty(),
            Value::Object(parts) => parts.is_empty(),
            Value::Bool(_) | Value::Number(_) => false,
        };
        !is_empty && !NO_CONTENT.contains(&name.as_str())
    };
    let delta = choice.get("delta").and_then(Value::as_object);
    let own = choice.as_object().into_iter().flatten();
    let own = own.filter(|(name, _)| *name != "delta");
    delta.into_iter().flatten().chain(own).any(is_told)
}

/// Reads the data of one event: the upstream's numbered chunks, or OpenAI's chat completion chunks,
/// whose tokens the mock upstream numbers (`tok17`).
#[must_use]
pub fn read_chunk(data: &[u8]) -> Chunk {
    if data == b"[DONE]" {
        return Chunk::Done;
    }
    let Ok(event) = serde_json::from_slice::<Event>(data) else {
        // Not JSON: some services stream plain text.
        return CONTENT;
    };
    if event.error.is_some() {
        return Chunk::Error;
    }
    if event.chunk.is_some() {
        return Chunk::Content {
            number: event.chunk,
            of: event.of,
        };
    }
    let content = event
        .choices
        .iter()
        .flatten()
        .filter_map(|choice| choice.delta.as_ref()?.content.as_deref())
        .find(|content| !content.is_empty());
    match content {
        Some(content) => Chunk::Content {
            number: token_number(content),
            of: None,
        },
        None => Chunk::Other,
    }
}

fn token_number(content: &str) -> Option<u64> {
    let digits = content.trim_start().strip_prefix("tok")?;
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    digits[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_are_numbered() {
        let plain = read_chunk(br#"{"chunk":7,"of":100,"pad":"xx"}"#);
        assert_eq!(
            plain,
            Chunk::Content {
                number: Some(7),
                of: Some(100)
            }
        );
        let token = read_chunk(
            br#"{"choices":[{"index":0,"delta":{"content":"tok12 "},"finish_reason":null}]}"#,
        );
        assert_eq!(
            token,
            Chunk::Content {
                number: Some(12),
                of: None
            }
        );
    }

    #[test]
    fn of_any_service_what_is_not_known_to_be_something_else_is_content() {
        let read = |data: &str| Reading::Any.read(data.as_bytes());
        for data in [
            "plain text",
            "7",
            r#"{"text":"a"}"#,
            r#"{"chunk":1,"of":3}"#,
            r#"{"error":false,"token":"a"}"#,
            r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"a"}}"#,
            r#"{"type":"response.output_text.delta","delta":"a"}"#,
            r#"{"choices":[{"delta":{"content":"tok12 "}}]}"#,
            r#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#,
            r#"{"choices":[{"index":0,"text":"a","finish_reason":null}]}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}"#,
        ] {
            assert_eq!(read(data), CONTENT, "{data}");
        }
        assert_eq!(read(r#"{"type":"ping"}"#), Chunk::Ping);
        for data in [
            r#"{"type":"message_start","message":{}}"#,
            r#"{"type":"response.created","response":{}}"#,
            r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            r#"{"choices":[],"usage":{"total_tokens":5}}"#,
        ] {
            assert_eq!(read(data), Chunk::Other, "{data}");
        }
        for data in ["[DONE]", r#"{"type":"message_stop"}"#] {
            assert_eq!(read(data), Chunk::Done, "{data}");
        }
        for data in [
            r#"{"error":{"message":"m"}}"#,
            r#"{"error":"m"}"#,
            r#"{"type":"response.failed"}"#,
        ] {
            assert_eq!(read(data), Chunk::Error, "{data}");
        }
    }

    #[test]
    fn what_is_no_content_does_not_count_as_the_first_token() {
        for data in [
            br#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#.as_slice(),
            br#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
            br#"{"choices":[],"usage":{"total_tokens":5}}"#,
        ] {
            assert_eq!(read_chunk(data), Chunk::Other);
        }
        assert_eq!(read_chunk(b"[DONE]"), Chunk::Done);
        assert_eq!(read_chunk(br#"{"error":{"message":"m"}}"#), Chunk::Error);
    }
}
