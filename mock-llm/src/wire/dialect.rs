use super::anthropic;
use super::openai::{ErrorBody, ErrorDetail};
use super::template::json;

/// Whose format an endpoint speaks: it decides what an error looks like.
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
            Self::OpenAi => json(&ErrorBody {
                error: ErrorDetail {
                    message,
                    kind,
                    param,
                    code: None,
                },
            }),
            Self::Anthropic => json(&anthropic::ErrorBody::new(kind, message)),
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
