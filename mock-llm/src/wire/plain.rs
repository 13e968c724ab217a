use bytes::Bytes;
use serde::Serialize;

use super::openai;
use super::template::{HOLE, Template, event};
use crate::stream::Script;

/// The plain stream: numbered chunks, so that a reader can prove that none was lost or reordered.
#[derive(Clone, Debug)]
pub struct PlainScript {
    template: Template,
}

/// One chunk of the plain stream.
#[derive(Serialize)]
struct Chunk<'a> {
    chunk: &'a str,
    of: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    pad: &'a str,
}

impl PlainScript {
    /// Chunks numbered 0 to `chunks` - 1, each with `bytes` bytes of padding. With `wide`, each also has a
    /// character of several bytes.
    #[must_use]
    pub fn new(chunks: u64, bytes: usize, wide: bool) -> Self {
        let mut pad = String::from(if wide { "€" } else { "" });
        pad.extend(std::iter::repeat_n('x', bytes));
        let chunk = event(&Chunk {
            chunk: HOLE,
            of: chunks,
            pad: &pad,
        });
        // The quotes around the hole go, because the number is not a string.
        Self {
            template: Template::new(&chunk.replacen(&format!("\"{HOLE}\""), HOLE, 1)),
        }
    }
}

impl Script for PlainScript {
    fn opening(&self) -> Option<Bytes> {
        None
    }

    fn token(&self, k: u64) -> Bytes {
        self.template.number(k)
    }

    fn closing(&self) -> Bytes {
        openai::DONE.into()
    }

    fn error(&self, kind: &str) -> Bytes {
        openai::error_event(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_numbered_and_padded_when_asked() {
        assert_eq!(
            PlainScript::new(100, 0, false).token(7),
            "data: {\"chunk\":7,\"of\":100}\n\n"
        );
        assert_eq!(
            PlainScript::new(9, 3, false).token(0),
            "data: {\"chunk\":0,\"of\":9,\"pad\":\"xxx\"}\n\n"
        );
        assert_eq!(
            PlainScript::new(9, 0, true).token(0),
            "data: {\"chunk\":0,\"of\":9,\"pad\":\"€\"}\n\n"
        );
    }
}
