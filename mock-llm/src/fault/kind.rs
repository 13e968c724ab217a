use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::number::number;

/// A failure to commit on purpose, written `name[@k][,argument]` or `name=value[,argument]`.
///
/// `@k` is the number of the token at whose turn the fault happens, from 0. If k is the number of tokens,
/// it happens after the last token and before the terminal event. If the answer does not reach k, it
/// never happens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// `status=503[,5s]`: an error status instead of a stream, with `Retry-After` (1 s by default).
    Status {
        /// The status, 400 to 599.
        code: u16,
        /// What `Retry-After` says.
        retry_after: Duration,
    },
    /// `slow-headers=2s`: the response head, and everything after it, comes this much later.
    SlowHeaders(Duration),
    /// `stall@k`: silence for ever at token k; `stall@0` is after the head, before the first token.
    Stall(u64),
    /// `error@k[,TYPE]`: an error event (of type `server_error` by default), then a clean end.
    Error {
        /// The token at whose turn it comes.
        at: u64,
        /// The `type` of the error.
        kind: String,
    },
    /// `eof@k`: a clean end without the terminal event.
    Eof(u64),
    /// `cut@k`: the connection is closed without the end of the body; over HTTP/2 the stream is reset
    /// (`INTERNAL_ERROR`), and its connection goes on.
    Cut(u64),
    /// `reset@k`: the TCP connection is reset, over HTTP/2 with all its other streams.
    Reset(u64),
    /// `malformed@k`: the event of token k is broken JSON; the stream goes on after it.
    Malformed(u64),
    /// `slice=n`: every event leaves in pieces of n bytes, 1 ms apart. Tokens contain a character of three
    /// bytes, so that pieces of 1 or 2 bytes cut it.
    Slice(usize),
}

/// A fault that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is not a fault ({reason}); write status=429[,5s], slow-headers=2s, stall@3, error@3[,TYPE], \
     eof@3, cut@3, reset@3, malformed@3 or slice=5, and before it, if not every request shall fail, \
     first=10, rate=0.1 or cap=2, each with a comma"
)]
pub struct BadFault {
    pub(super) text: String,
    pub(super) reason: String,
}

/// What a fault does at the turn of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Be silent for ever.
    Stall,
    /// Send an error of this type and end.
    Error(String),
    /// End cleanly.
    Eof,
    /// Close the connection.
    Cut,
    /// Reset the connection.
    Reset,
    /// Send this token broken.
    Malformed,
}

impl Fault {
    /// What the fault does at the turn of token `k`, if anything.
    #[must_use]
    pub fn at(&self, k: u64) -> Option<Effect> {
        match self {
            Self::Stall(at) if *at == k => Some(Effect::Stall),
            Self::Error { at, kind } if *at == k => Some(Effect::Error(kind.clone())),
            Self::Eof(at) if *at == k => Some(Effect::Eof),
            Self::Cut(at) if *at == k => Some(Effect::Cut),
            Self::Reset(at) if *at == k => Some(Effect::Reset),
            Self::Malformed(at) if *at == k => Some(Effect::Malformed),
            _ => None,
        }
    }

    /// The token at whose turn the fault happens, if it has one.
    #[must_use]
    pub fn turn(&self) -> Option<u64> {
        match *self {
            Self::Stall(at)
            | Self::Eof(at)
            | Self::Cut(at)
            | Self::Reset(at)
            | Self::Malformed(at) => Some(at),
            Self::Error { at, .. } => Some(at),
            Self::Status { .. } | Self::SlowHeaders(_) | Self::Slice(_) => None,
        }
    }

    /// By how much the response head is delayed.
    #[must_use]
    pub fn head_delay(&self) -> Duration {
        match self {
            Self::SlowHeaders(delay) => *delay,
            _ => Duration::ZERO,
        }
    }

    /// The size of the pieces in which events leave.
    #[must_use]
    pub fn slice(&self) -> Option<usize> {
        match self {
            Self::Slice(size) => Some(*size),
            _ => None,
        }
    }
}

impl FromStr for Fault {
    type Err = BadFault;

    fn from_str(text: &str) -> Result<Self, BadFault> {
        parse(text.trim()).map_err(|reason| BadFault {
            text: text.into(),
            reason,
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = humantime::format_duration;
        match self {
            Self::Status { code, retry_after } => write!(f, "status={code},{}", time(*retry_after)),
            Self::SlowHeaders(delay) => write!(f, "slow-headers={}", time(*delay)),
            Self::Stall(k) => write!(f, "stall@{k}"),
            Self::Error { at, kind } => write!(f, "error@{at},{kind}"),
            Self::Eof(k) => write!(f, "eof@{k}"),
            Self::Cut(k) => write!(f, "cut@{k}"),
            Self::Reset(k) => write!(f, "reset@{k}"),
            Self::Malformed(k) => write!(f, "malformed@{k}"),
            Self::Slice(size) => write!(f, "slice={size}"),
        }
    }
}

fn parse(text: &str) -> Result<Fault, String> {
    let (main, argument) = match text.split_once(',') {
        Some((main, argument)) => (main, Some(argument.trim())),
        None => (text, None),
    };
    if let Some((name, value)) = main.split_once('=') {
        return match (name, argument) {
            ("status", retry_after) => status(value, retry_after),
            ("slow-headers", None) => time(value).map(Fault::SlowHeaders),
            ("slice", None) => number(value, 1, 1 << 20).map(Fault::Slice),
            _ => Err("unknown name, or an argument too many".into()),
        };
    }
    let Some((name, k)) = main.split_once('@') else {
        return Err("neither = nor @".into());
    };
    let k = number(k, 0, u64::MAX)?;
    match (name, argument) {
        ("stall", None) => Ok(Fault::Stall(k)),
        ("error", kind) => Ok(Fault::Error {
            at: k,
            kind: kind.unwrap_or("server_error").into(),
        }),
        ("eof", None) => Ok(Fault::Eof(k)),
        ("cut", None) => Ok(Fault::Cut(k)),
        ("reset", None) => Ok(Fault::Reset(k)),
        ("malformed", None) => Ok(Fault::Malformed(k)),
        _ => Err("unknown name, or an argument too many".into()),
    }
}

fn status(code: &str, retry_after: Option<&str>) -> Result<Fault, String> {
    Ok(Fault::Status {
        code: number(code, 400, 599)?,
        retry_after: retry_after.map_or(Ok(Duration::from_secs(1)), time)?,
    })
}

fn time(text: &str) -> Result<Duration, String> {
    service::duration(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_reads_back_as_it_is_printed() {
        for text in [
            "status=429,5s",
            "slow-headers=2s",
            "stall@0",
            "error@3,overloaded_error",
            "eof@3",
            "cut@3",
            "reset@3",
            "malformed@3",
            "slice=5",
        ] {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn nonsense_is_refused_and_quoted() {
        for text in [
            "",
            "stall",
            "stall@",
            "stall@-1",
            "status=200",
            "status=503,soon",
            "slice=0",
            "eof@1,x",
            "boom@1",
        ] {
            let error = text.parse::<Fault>().unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("'{text}' is not a fault")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_fault_acts_at_its_turn_only() {
        let fault: Fault = "cut@3".parse().unwrap();
        assert_eq!(
            (fault.at(2), fault.at(3), fault.at(4)),
            (None, Some(Effect::Cut), None)
        );
    }
}
