use crate::load::chunk::{CONTENT, Chunk, Reading};
use crate::load::sse::SseReader;

/// Cuts a body into the pieces that count as chunks, as its content type has it.
#[derive(Debug)]
pub(crate) enum Frames {
    /// Server-sent events.
    Events(SseReader, Reading),
    /// JSON, a line each; what of a line has come.
    Lines(Vec<u8>, Reading),
    /// Anything else: what arrives at once is a chunk.
    Arrivals,
}

impl Frames {
    /// The way that fits a content type.
    pub(crate) fn of(content_type: Option<&str>, reading: Reading) -> Self {
        let essence = content_type
            .and_then(|value| value.split(';').next())
            .map(|value| value.trim().to_ascii_lowercase());
        match essence.as_deref() {
            Some("text/event-stream") => Self::Events(SseReader::default(), reading),
            Some(
                "application/x-ndjson"
                | "application/ndjson"
                | "application/jsonl"
                | "application/x-jsonlines"
                | "application/json-seq"
                | "application/stream+json",
            ) => Self::Lines(Vec::new(), reading),
            _ => Self::Arrivals,
        }
    }

    /// Adds `bytes` and hands every piece that they complete to `chunk`.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut chunk: impl FnMut(Chunk)) {
        match self {
            Self::Events(reader, reading) => {
                reader.feed_named(bytes, |name, data| chunk(reading.read_event(name, data)));
            }
            Self::Lines(line, reading) => {
                for &byte in bytes {
                    if byte == b'\n' {
                        see_line(line, *reading, &mut chunk);
                        line.clear();
                    } else {
                        line.push(byte);
                    }
                }
            }
            Self::Arrivals if bytes.is_empty() => {}
            Self::Arrivals => chunk(CONTENT),
        }
    }

    /// Whether pieces are told apart however they arrive.
    pub(crate) fn has_pieces(&self) -> bool {
        !matches!(self, Self::Arrivals)
    }

    /// The body has ended: a last line needs no line feed.
    pub(crate) fn finish(&mut self, mut chunk: impl FnMut(Chunk)) {
        if let Self::Lines(line, reading) = self {
            see_line(line, *reading, &mut chunk);
            line.clear();
        }
    }
}

/// A line of JSON that is no known event is content all the same. An empty one keeps a connection busy.
fn see_line(line: &[u8], reading: Reading, chunk: &mut impl FnMut(Chunk)) {
    let text = line.trim_ascii();
    if text.is_empty() {
        return;
    }
    chunk(match reading.read(text) {
        Chunk::Other => CONTENT,
        known => known,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(content_type: &str, parts: &[&[u8]]) -> usize {
        let mut frames = Frames::of(Some(content_type), Reading::Any);
        let mut count = 0;
        for part in parts {
            frames.feed(part, |_| count += 1);
        }
        frames.finish(|_| count += 1);
        count
    }

    #[test]
    fn lines_are_the_same_wherever_the_bytes_are_sliced() {
        let text = b"{\"a\":1}\n\n{\"a\":2}\r\n{\"a\":3}";
        for cut in 0..text.len() {
            let parts = [&text[..cut], &text[cut..]];
            assert_eq!(chunks("application/x-ndjson; charset=utf-8", &parts), 3);
        }
    }

    #[test]
    fn the_content_type_decides() {
        let event: &[&[u8]] = &[b"data: x\n", b"\n"];
        assert_eq!(chunks("text/event-stream;charset=UTF-8", event), 1);
        assert_eq!(chunks("text/plain", event), 2);
    }
}
