use bytes::Bytes;

use super::script::Script;
use crate::fault::{Effect, Fault};
use crate::ledger::Cause;

/// One step of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Wait for the turn of the next token.
    Wait,
    /// Write something that is not content.
    Write(Bytes),
    /// Write content.
    Tokens {
        /// What goes out.
        event: Bytes,
        /// How many tokens it is.
        count: u64,
        /// Whether no further one comes.
        last: bool,
    },
    /// Write the terminal event.
    Terminal(Bytes),
    /// Do nothing any more.
    Stall,
    /// Break the connection.
    Break(Cause),
    /// End the answer cleanly.
    End(Cause),
}

/// The acts of a streamed answer, from its script and its fault. It knows no time.
#[derive(Debug)]
pub struct Plot<S> {
    script: S,
    chunks: u64,
    fault: Option<Fault>,
    step: Step,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Turn(u64),
    Opening,
    Token(u64),
    End(Cause),
}

impl<S: Script> Plot<S> {
    /// The acts of `chunks` tokens.
    #[must_use]
    pub fn new(script: S, chunks: u64, fault: Option<Fault>) -> Self {
        Self {
            script,
            chunks,
            fault,
            step: Step::Turn(0),
        }
    }

    fn effect(&self, k: u64) -> Option<Effect> {
        self.fault.as_ref().and_then(|fault| fault.at(k))
    }

    /// The opening, or the fault of token 0, which comes before it.
    fn opening(&mut self) -> Act {
        self.step = Step::Token(0);
        let spared = matches!(self.effect(0), None | Some(Effect::Malformed));
        match self.script.opening() {
            Some(opening) if spared => Act::Write(opening),
            _ => self.token(0),
        }
    }

    /// Token `k`, or the terminal event after the last token, or the fault in its place.
    fn token(&mut self, k: u64) -> Act {
        match self.effect(k) {
            Some(Effect::Stall) => Act::Stall,
            Some(Effect::Cut) => Act::Break(Cause::Cut),
            Some(Effect::Reset) => Act::Break(Cause::Reset),
            Some(Effect::Eof) => Act::End(Cause::Eof),
            Some(Effect::Error(kind)) => {
                self.step = Step::End(Cause::ErrorSent);
                Act::Write(self.script.error(&kind))
            }
            None | Some(Effect::Malformed) if k == self.chunks => {
                self.step = Step::End(Cause::Completed);
                Act::Terminal(self.script.closing())
            }
            effect => {
                let last = k + 1 == self.chunks;
                // The terminal event follows the last token at once.
                self.step = if last {
                    Step::Token(k + 1)
                } else {
                    Step::Turn(k + 1)
                };
                let event = self.script.token(k);
                Act::Tokens {
                    event: if effect.is_some() {
                        malformed(&event)
                    } else {
                        event
                    },
                    count: 1,
                    last,
                }
            }
        }
    }
}

impl<S: Script> Iterator for Plot<S> {
    type Item = Act;

    fn next(&mut self) -> Option<Act> {
        Some(match self.step {
            Step::Turn(k) => {
                self.step = if k == 0 {
                    Step::Opening
                } else {
                    Step::Token(k)
                };
                Act::Wait
            }
            Step::Opening => self.opening(),
            Step::Token(k) => self.token(k),
            Step::End(cause) => Act::End(cause),
        })
    }
}

/// The acts of an answer that is sent whole, when it is due.
#[must_use]
pub fn whole(body: Bytes, chunks: u64, effect: Option<&Effect>) -> Vec<Act> {
    let half = body.slice(..body.len() / 2);
    match effect {
        Some(Effect::Stall) => vec![Act::Stall],
        Some(Effect::Cut) => vec![Act::Write(half), Act::Break(Cause::Cut)],
        Some(Effect::Reset) => vec![Act::Write(half), Act::Break(Cause::Reset)],
        Some(Effect::Eof) => vec![Act::Write(half), Act::End(Cause::Eof)],
        Some(Effect::Error(_)) => vec![Act::Terminal(body), Act::End(Cause::ErrorSent)],
        None | Some(Effect::Malformed) => vec![
            Act::Tokens {
                event: if effect.is_some() {
                    malformed(&body)
                } else {
                    body
                },
                count: chunks,
                last: true,
            },
            Act::End(Cause::Completed),
        ],
    }
}

/// The event or document with the end of its JSON missing.
fn malformed(text: &Bytes) -> Bytes {
    let (json, end) = match text.strip_suffix(b"\n\n") {
        Some(json) => (json, "\n\n"),
        None => (&text[..], ""),
    };
    let kept = json.len().saturating_sub(2);
    [&json[..kept], end.as_bytes()].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Letters;

    impl Script for Letters {
        fn opening(&self) -> Option<Bytes> {
            Some("open".into())
        }

        fn token(&self, k: u64) -> Bytes {
            format!("{{{k}}}\n\n").into()
        }

        fn closing(&self) -> Bytes {
            "close".into()
        }

        fn error(&self, kind: &str) -> Bytes {
            kind.to_owned().into()
        }
    }

    /// The acts up to the end, as text that is easy to read.
    fn acts(chunks: u64, fault: &str) -> String {
        let fault = (!fault.is_empty()).then(|| fault.parse().unwrap());
        let mut story = Vec::new();
        for act in Plot::new(Letters, chunks, fault) {
            let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).trim().to_owned();
            story.push(match &act {
                Act::Wait => "wait".to_owned(),
                Act::Write(bytes) | Act::Terminal(bytes) => text(bytes),
                Act::Tokens { event, last, .. } => text(event) + if *last { " last" } else { "" },
                Act::Stall => "stall".to_owned(),
                Act::Break(cause) | Act::End(cause) => format!("{cause:?}"),
            });
            if matches!(act, Act::Stall | Act::Break(_) | Act::End(_)) {
                break;
            }
        }
        story.join(", ")
    }

    #[test]
    fn without_a_fault_every_token_waits_for_its_turn_and_the_end_follows_at_once() {
        assert_eq!(
            acts(2, ""),
            "wait, open, {0}, wait, {1} last, close, Completed"
        );
    }

    #[test]
    fn a_fault_comes_at_the_turn_of_its_token_and_before_the_opening_at_the_first() {
        assert_eq!(acts(3, "stall@0"), "wait, stall");
        assert_eq!(acts(3, "stall@1"), "wait, open, {0}, wait, stall");
        assert_eq!(acts(3, "cut@1"), "wait, open, {0}, wait, Cut");
        assert_eq!(acts(3, "reset@0"), "wait, Reset");
        assert_eq!(acts(3, "eof@1"), "wait, open, {0}, wait, Eof");
        assert_eq!(
            acts(3, "error@1,overloaded_error"),
            "wait, open, {0}, wait, overloaded_error, ErrorSent"
        );
        assert_eq!(
            acts(2, "malformed@0"),
            "wait, open, {, wait, {1} last, close, Completed"
        );
    }

    #[test]
    fn a_fault_after_the_last_token_replaces_the_terminal_event() {
        assert_eq!(acts(1, "eof@1"), "wait, open, {0} last, Eof");
        assert_eq!(
            acts(1, "malformed@1"),
            "wait, open, {0} last, close, Completed"
        );
        assert_eq!(acts(1, "cut@2"), "wait, open, {0} last, close, Completed");
    }
}
