use serde::Deserialize;
use serde::de::IgnoredAny;

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
    /// Something else: a role, a finish reason, a usage figure, a ping.
    Other,
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

/// Reads the data of one event: the upstream's numbered chunks, or OpenAI's chat completion chunks,
/// whose tokens the mock upstream numbers (`tok17`).
#[must_use]
pub fn read_chunk(data: &[u8]) -> Chunk {
    if data == b"[DONE]" {
        return Chunk::Done;
    }
    let Ok(event) = serde_json::from_slice::<Event>(data) else {
        // Not JSON: some services stream plain text.
        return Chunk::Content {
            number: None,
            of: None,
        };
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
