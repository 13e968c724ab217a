use serde::Serialize;

use super::template::json;

/// Whose format an endpoint speaks. It decides the format of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's; the plain stream and the mock's own routes use it as well.
    OpenAi,
    /// Anthropic's.
    Anthropic,
}

impl Dialect {
    /// The body of an error, as JSON.
    #[must_use]
    pub fn error(self, kind: &str, message: &str, param: Option<&str>) -> String {
        match self {
            Self::OpenAi => json(&OpenAiErrorBody {
                error: OpenAiErrorDetail {
                    message,
                    kind,
                    param,
                    code: None,
                },
            }),
            Self::Anthropic => json(&AnthropicErrorBody {
                envelope: "error",
                error: AnthropicErrorDetail { kind, message },
            }),
        }
    }

    /// The type of error that goes with a status.
    #[must_use]
    pub fn kind_of(self, status: u16) -> &'static str {
        match (status, self) {
            (429, _) => "rate_limit_error",
            (529, Self::Anthropic) => "overloaded_error",
            (400..=499, _) => "invalid_request_error",
            (_, Self::OpenAi) => "server_error",
            (_, Self::Anthropic) => "api_error",
        }
    }
}

/// An error in OpenAI's format.
#[derive(Serialize)]
struct OpenAiErrorBody<'a> {
    error: OpenAiErrorDetail<'a>,
}

/// All four keys are always there.
#[derive(Serialize)]
struct OpenAiErrorDetail<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    /// The parameter to blame.
    param: Option<&'a str>,
    code: Option<&'a str>,
}

/// An error in Anthropic's format.
#[derive(Serialize)]
struct AnthropicErrorBody<'a> {
    #[serde(rename = "type")]
    envelope: &'static str,
    error: AnthropicErrorDetail<'a>,
}

#[derive(Serialize)]
struct AnthropicErrorDetail<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    message: &'a str,
}

/// What the mock says when it fails on purpose.
pub const ON_PURPOSE: &str = "The mock was asked to fail here.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_openai_error_has_four_keys_and_an_anthropic_one_its_envelope() {
        assert_eq!(
            Dialect::OpenAi.error("server_error", "no", None),
            r#"{"error":{"message":"no","type":"server_error","param":null,"code":null}}"#
        );
        assert_eq!(
            Dialect::Anthropic.error(Dialect::Anthropic.kind_of(529), "no", None),
            r#"{"type":"error","error":{"type":"overloaded_error","message":"no"}}"#
        );
    }
}
