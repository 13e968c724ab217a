use std::str::FromStr;

use axum::http::HeaderMap;
use serde::Serialize;

use crate::distribution::Distribution;
use crate::fault::Rule;
use crate::number::number;

/// The most tokens an answer may have.
const MOST_CHUNKS: u64 = 1_000_000;

/// The most padding a token may have.
const MOST_BYTES: usize = 1 << 20;

/// The text that sets a parameter to nothing.
pub const NONE: &str = "none";

/// What an answer looks like in time and size: the settings of the service, as changed by the request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shape {
    /// Time to the first token: from the request's arrival, or from the end of its time in the queue.
    pub ttft: Distribution,
    /// Time from one token to the next.
    pub interval: Distribution,
    /// Number of tokens.
    pub chunks: u64,
    /// Bytes of padding in each token.
    pub bytes: usize,
    /// What goes wrong, and for which requests.
    pub fault: Option<Rule>,
}

/// A header or query parameter that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct BadParameter {
    /// The header or query parameter.
    pub name: String,
    /// What is wrong with it, and what it should look like.
    pub reason: String,
}

impl Shape {
    /// This shape as changed by the `x-mock-*` headers of a request.
    ///
    /// # Errors
    /// An unknown `x-mock-*` header or a value that cannot be read.
    pub fn with_headers(mut self, headers: &HeaderMap) -> Result<Self, BadParameter> {
        for (name, value) in headers {
            if let Some(key) = name.as_str().strip_prefix("x-mock-") {
                let text = value.to_str().unwrap_or("(not text)");
                self.set(key, text).map_err(|reason| BadParameter {
                    name: name.to_string(),
                    reason,
                })?;
            }
        }
        Ok(self)
    }

    /// This shape as changed by query parameters.
    ///
    /// # Errors
    /// An unknown parameter or a value that cannot be read.
    pub fn with_query(mut self, query: &[(String, String)]) -> Result<Self, BadParameter> {
        for (key, value) in query {
            self.set(key, value).map_err(|reason| BadParameter {
                name: key.clone(),
                reason,
            })?;
        }
        Ok(self)
    }

    /// Sets one of the keys to a text, as flags, headers and queries have it.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the key or the value.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "ttft" => self.ttft = read(value)?,
            "interval" => self.interval = read(value)?,
            "chunks" => self.chunks = chunks(value)?,
            "bytes" => self.bytes = bytes(value)?,
            "fault" if value == NONE => self.fault = None,
            "fault" => self.fault = Some(read(value)?),
            _ => return Err("unknown; there are ttft, interval, chunks, bytes and fault".into()),
        }
        Ok(())
    }
}

/// Reads a number of tokens.
///
/// # Errors
/// A sentence that gives the range.
pub fn chunks(text: &str) -> Result<u64, String> {
    number(text, 1, MOST_CHUNKS)
}

/// Reads a size of padding.
///
/// # Errors
/// A sentence that gives the range.
pub fn bytes(text: &str) -> Result<usize, String> {
    number(text, 0, MOST_BYTES)
}

fn read<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn shape() -> Shape {
        Shape {
            ttft: Distribution::Constant(Duration::from_millis(200)),
            interval: Distribution::Constant(Duration::from_millis(100)),
            chunks: 100,
            bytes: 0,
            fault: None,
        }
    }

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn headers_override_flags_one_by_one() {
        let changed = shape()
            .with_headers(&headers(&[
                ("x-mock-interval", "400us"),
                ("x-mock-fault", "stall@0"),
                ("accept", "*/*"),
            ]))
            .unwrap();
        assert_eq!(
            changed.interval,
            Distribution::Constant(Duration::from_micros(400))
        );
        assert_eq!((&changed.ttft, changed.chunks), (&shape().ttft, 100));
        assert_eq!(changed.fault, Some("stall@0".parse().unwrap()));
        let spared = changed.with_headers(&headers(&[("x-mock-fault", "none")]));
        assert_eq!(spared.unwrap().fault, None);
    }

    #[test]
    fn a_bad_or_unknown_parameter_is_named() {
        let error = shape()
            .with_headers(&headers(&[("x-mock-chunks", "0")]))
            .unwrap_err();
        assert_eq!(error.name, "x-mock-chunks");
        let error = shape()
            .with_headers(&headers(&[("x-mock-speed", "9")]))
            .unwrap_err();
        assert!(
            error.to_string().starts_with("x-mock-speed: unknown"),
            "{error}"
        );
        let query = [("chunk".to_owned(), "5".to_owned())];
        assert_eq!(shape().with_query(&query).unwrap_err().name, "chunk");
    }
}
