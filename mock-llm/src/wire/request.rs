use serde::Deserialize;
use serde_json::Value;

/// The parts of a request for a completion that the mock understands. It accepts and ignores all others.
#[derive(Clone, Debug)]
pub struct CompletionRequest {
    /// The model to answer as.
    pub model: String,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether a streamed answer ends with its usage.
    pub include_usage: bool,
    /// The most tokens the answer may have.
    pub limit: Option<u64>,
    /// Tokens of the prompt, by the rule of thumb of four bytes each.
    pub prompt_tokens: u64,
}

/// A body that is not a request for a completion.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadRequest {
    /// For a person.
    pub message: String,
    /// The parameter to blame.
    pub param: Option<String>,
}

/// Which of the endpoints is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `/v1/chat/completions`, with `messages`.
    Chat,
    /// `/v1/completions`, with `prompt`.
    Completion,
    /// `/v1/messages`, with `messages` and a mandatory `max_tokens`.
    Messages,
}

#[derive(Deserialize)]
struct Raw {
    model: Option<String>,
    messages: Option<Value>,
    prompt: Option<Value>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    n: Option<u64>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

impl CompletionRequest {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// [`BadRequest`] that names the parameter to blame.
    pub fn parse(endpoint: Endpoint, body: &[u8]) -> Result<Self, BadRequest> {
        let raw: Raw = serde_json::from_slice(body).map_err(|error| {
            bad(
                format!("The body of the request cannot be read as JSON: {error}"),
                None,
            )
        })?;
        let prompt_bytes = match endpoint {
            Endpoint::Chat | Endpoint::Messages => message_bytes(raw.messages.as_ref())?,
            Endpoint::Completion => raw
                .prompt
                .as_ref()
                .map(text_bytes)
                .ok_or_else(|| missing("prompt"))?,
        };
        if raw.n.is_some_and(|n| n != 1) {
            return Err(bad(
                "This service gives one choice: 'n' must be 1.",
                Some("n"),
            ));
        }
        if endpoint == Endpoint::Messages && raw.max_tokens.is_none() {
            return Err(missing("max_tokens"));
        }
        Ok(Self {
            model: raw.model.ok_or_else(|| missing("model"))?,
            stream: raw.stream.unwrap_or(false),
            include_usage: raw
                .stream_options
                .and_then(|options| options.include_usage)
                .unwrap_or(false),
            limit: limit(raw.max_completion_tokens, "max_completion_tokens")?
                .or(limit(raw.max_tokens, "max_tokens")?),
            prompt_tokens: (prompt_bytes as u64).div_ceil(4).max(1),
        })
    }
}

fn bad(message: impl Into<String>, param: Option<&str>) -> BadRequest {
    BadRequest {
        message: message.into(),
        param: param.map(Into::into),
    }
}

fn missing(parameter: &str) -> BadRequest {
    bad(
        format!("Missing required parameter: '{parameter}'."),
        Some(parameter),
    )
}

fn limit(value: Option<u64>, parameter: &str) -> Result<Option<u64>, BadRequest> {
    if value == Some(0) {
        return Err(bad(
            format!("'{parameter}' must be at least 1."),
            Some(parameter),
        ));
    }
    Ok(value)
}

fn message_bytes(messages: Option<&Value>) -> Result<usize, BadRequest> {
    let Some(messages) = messages else {
        return Err(missing("messages"));
    };
    let invalid = || {
        bad(
            "'messages' must be a list of at least one object with a 'role'.",
            Some("messages"),
        )
    };
    let messages = messages
        .as_array()
        .filter(|list| !list.is_empty())
        .ok_or_else(invalid)?;
    if messages.iter().any(|message| !message["role"].is_string()) {
        return Err(invalid());
    }
    Ok(messages
        .iter()
        .map(|message| text_bytes(&message["content"]))
        .sum())
}

/// The bytes of all strings in a value: content may be a string or a list of parts.
fn text_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(parts) => parts.iter().map(text_bytes).sum(),
        Value::Object(part) => part.get("text").map_or(0, text_bytes),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(body: &str) -> Result<CompletionRequest, BadRequest> {
        CompletionRequest::parse(Endpoint::Chat, body.as_bytes())
    }

    #[test]
    fn what_a_real_client_sends_is_understood() {
        let request = chat(
            r#"{"model":"m","messages":[{"role":"system","content":"12345678"},
                {"role":"user","content":[{"type":"text","text":"1234"}]}],
                "stream":true,"stream_options":{"include_usage":true},
                "max_completion_tokens":7,"max_tokens":9,"temperature":0.5,"tools":[]}"#,
        )
        .unwrap();
        assert!(request.stream && request.include_usage);
        assert_eq!((request.limit, request.prompt_tokens), (Some(7), 3));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let param = |body| chat(body).unwrap_err().param;
        assert_eq!(param("not json"), None);
        assert_eq!(param(r#"{"model":"m"}"#).as_deref(), Some("messages"));
        assert_eq!(
            param(r#"{"model":"m","messages":[]}"#).as_deref(),
            Some("messages")
        );
        assert_eq!(
            param(r#"{"messages":[{"role":"user"}]}"#).as_deref(),
            Some("model")
        );
        assert_eq!(
            param(r#"{"model":"m","messages":[{"role":"user"}],"n":2}"#).as_deref(),
            Some("n")
        );
        let zero = r#"{"model":"m","messages":[{"role":"user"}],"max_tokens":0}"#;
        assert_eq!(param(zero).as_deref(), Some("max_tokens"));
    }

    #[test]
    fn anthropics_endpoint_wants_a_limit() {
        let body = br#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#;
        let bad = CompletionRequest::parse(Endpoint::Messages, body).unwrap_err();
        assert_eq!(bad.param.as_deref(), Some("max_tokens"));
    }

    #[test]
    fn the_legacy_endpoint_wants_a_prompt() {
        let parse = |body: &str| CompletionRequest::parse(Endpoint::Completion, body.as_bytes());
        assert_eq!(
            parse(r#"{"model":"m","prompt":["12345678"]}"#)
                .unwrap()
                .prompt_tokens,
            2
        );
        assert_eq!(
            parse(r#"{"model":"m"}"#).unwrap_err().param.as_deref(),
            Some("prompt")
        );
    }
}
