use std::io::Write;

use bytes::Bytes;
use serde::Serialize;

/// Stands for the content in a serialised event, where [`Template::new`] cuts it in two.
pub const HOLE: &str = "@@HOLE@@";

/// An event that is serialised once, with a hole for what differs from token to token.
#[derive(Clone, Debug)]
pub struct Template {
    before: Box<[u8]>,
    after: Box<[u8]>,
}

/// The text of the tokens: `tok0 `, `tok1 `, and so on, so that a reader can prove that it got all.
///
/// Padding follows as x's and ends with a space, so that words stay apart.
#[derive(Clone, Debug)]
pub struct Tokens {
    tail: Box<str>,
}

/// A line of JSON as an SSE event.
#[must_use]
pub fn event<T: Serialize>(value: &T) -> String {
    format!("data: {}\n\n", json(value))
}

/// A line of JSON.
#[must_use]
pub fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("wire types have string keys and no failing serializer")
}

impl Template {
    /// Cuts an event at the last [`HOLE`], because a text from the request may stand before it, but not
    /// after it.
    #[must_use]
    pub fn new(event: &str) -> Self {
        let (before, after) = event.rsplit_once(HOLE).unwrap_or((event, ""));
        Self {
            before: before.as_bytes().into(),
            after: after.as_bytes().into(),
        }
    }

    /// The event with `tok<k>` and the tail in the hole, in one allocation.
    #[must_use]
    pub fn fill(&self, tokens: &Tokens, k: u64) -> Bytes {
        let size = self.before.len() + tokens.length(k) + self.after.len();
        let mut event = Vec::with_capacity(size);
        event.extend_from_slice(&self.before);
        tokens.write(k, &mut event);
        event.extend_from_slice(&self.after);
        debug_assert_eq!(event.len(), size, "a second allocation");
        event.into()
    }

    /// The event with a bare number in the hole, in one allocation.
    #[must_use]
    pub fn number(&self, k: u64) -> Bytes {
        let mut event = Vec::with_capacity(self.before.len() + digits(k) + self.after.len());
        event.extend_from_slice(&self.before);
        write_number(k, &mut event);
        event.extend_from_slice(&self.after);
        event.into()
    }
}

impl Tokens {
    /// Tokens with `bytes` bytes of padding, and with a character of several bytes if `wide`.
    #[must_use]
    pub fn new(bytes: usize, wide: bool) -> Self {
        let mut tail = String::from(if wide { "€ " } else { " " });
        if let Some(xs) = bytes.checked_sub(1) {
            tail.extend(std::iter::repeat_n('x', xs));
            tail.push(' ');
        }
        Self { tail: tail.into() }
    }

    /// The text of the first `chunks` tokens.
    #[must_use]
    pub fn text(&self, chunks: u64) -> String {
        let mut text = Vec::new();
        for k in 0..chunks {
            self.write(k, &mut text);
        }
        String::from_utf8(text).expect("tokens are UTF-8")
    }

    fn write(&self, k: u64, to: &mut Vec<u8>) {
        to.extend_from_slice(b"tok");
        write_number(k, to);
        to.extend_from_slice(self.tail.as_bytes());
    }

    fn length(&self, k: u64) -> usize {
        3 + digits(k) + self.tail.len()
    }
}

fn write_number(k: u64, to: &mut Vec<u8>) {
    // Writing to a Vec cannot fail.
    let _ = write!(to, "{k}");
}

fn digits(k: u64) -> usize {
    k.checked_ilog10().map_or(1, |log| log as usize + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hole_is_filled_even_if_a_request_says_the_same_word() {
        let template = Template::new(&format!("{{\"model\":\"{HOLE}\",\"content\":\"{HOLE}\"}}"));
        let event = template.fill(&Tokens::new(0, false), 12);
        assert_eq!(
            event,
            format!("{{\"model\":\"{HOLE}\",\"content\":\"tok12 \"}}")
        );
    }

    #[test]
    fn padding_has_the_size_asked_for_and_keeps_words_apart() {
        let bare = Tokens::new(0, false).text(3);
        assert_eq!(bare, "tok0 tok1 tok2 ");
        for bytes in [1, 2, 16] {
            assert_eq!(
                Tokens::new(bytes, false).text(3).len(),
                bare.len() + 3 * bytes
            );
        }
        assert_eq!(Tokens::new(4, true).text(2), "tok0€ xxx tok1€ xxx ");
    }

    #[test]
    fn the_size_is_known_beforehand() {
        let template = Template::new(HOLE);
        for k in [0, 9, 10, 99, 100, 12_345, u64::MAX] {
            assert_eq!(template.number(k).len(), k.to_string().len());
            let _ = template.fill(&Tokens::new(3, true), k);
        }
    }
}
