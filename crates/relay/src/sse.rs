//! Follows a server-sent event stream, in constant memory, to know how it may be ended.

/// What the stream itself said about its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Said {
    /// The terminal event: OpenAI's `data: [DONE]`, Anthropic's `message_stop`, and the last event
    /// of OpenAI's responses.
    Done,
    /// An error event: the upstream itself told the client that it failed.
    Error,
}

/// Sees every chunk of an event stream, cut at any byte, and knows what the stream has said.
///
/// Of the stream it keeps only the first bytes of the current line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SseTail {
    line: LineStart,
    /// The last byte was a carriage return. A line feed right after it is part of the same line end.
    after_cr: bool,
    /// A line of the current event is complete, the blank line that ends the event has not come.
    in_event: bool,
    /// An event had a name.
    named: bool,
    /// What the current event says. It counts when the event is complete.
    saying: Option<Said>,
    said: Option<Said>,
}

/// Enough for every line that means something here.
const KEPT: usize = 48;

/// The first bytes of a line and its length.
#[derive(Clone, Debug, PartialEq, Eq)]
struct LineStart {
    bytes: [u8; KEPT],
    len: usize,
}

impl SseTail {
    /// Takes the next chunk of the stream.
    pub fn push(&mut self, mut chunk: &[u8]) {
        if self.after_cr && chunk.first() == Some(&b'\n') {
            chunk = &chunk[1..];
            self.after_cr = false;
        }
        while let Some(end) = chunk.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.line.push(&chunk[..end]);
            self.end_line();
            let crlf = chunk[end] == b'\r' && chunk.get(end + 1) == Some(&b'\n');
            self.after_cr = chunk[end] == b'\r' && end + 1 == chunk.len();
            chunk = &chunk[end + if crlf { 2 } else { 1 }..];
        }
        if !chunk.is_empty() {
            self.line.push(chunk);
            self.after_cr = false;
        }
    }

    /// Whether another event may follow: the last byte ended one, or none has begun.
    pub fn at_boundary(&self) -> bool {
        !self.in_event && self.line.len == 0
    }

    /// Whether any event so far, the current one included, has a name (a line `event:`). Clients of such
    /// a stream listen by name: they would not see an error event without one.
    pub fn has_names(&self) -> bool {
        self.named || has_name(self.line.kept())
    }

    /// What the stream has said about its end, if anything.
    ///
    /// `[DONE]` counts from its last byte, even without the blank line after it, because it carries no
    /// content.
    pub fn said(&self) -> Option<Said> {
        self.said
            .or_else(|| is_done(self.line.kept()).then_some(Said::Done))
    }

    fn end_line(&mut self) {
        if self.line.len == 0 {
            self.in_event = false;
            self.said = self.said.or(self.saying.take());
            return;
        }
        self.in_event = true;
        let line = self.line.kept();
        self.named |= has_name(line);
        if is_done(line) {
            self.said = self.said.or(Some(Said::Done));
        } else if let Some(said) = said_by(line) {
            self.saying = Some(said);
        }
        self.line.len = 0;
    }
}

impl LineStart {
    fn push(&mut self, bytes: &[u8]) {
        if let Some(free) = self.bytes.get_mut(self.len..) {
            let kept = free.len().min(bytes.len());
            free[..kept].copy_from_slice(&bytes[..kept]);
        }
        self.len = self.len.saturating_add(bytes.len());
    }

    fn kept(&self) -> &[u8] {
        &self.bytes[..self.len.min(KEPT)]
    }
}

impl Default for LineStart {
    fn default() -> Self {
        Self {
            bytes: [0; KEPT],
            len: 0,
        }
    }
}

fn has_name(line: &[u8]) -> bool {
    line.starts_with(b"event:")
}

fn is_done(line: &[u8]) -> bool {
    field(line, b"data:") == Some(b"[DONE]")
}

/// What an event with this line says. OpenAI's streams have no event names, the others do.
fn said_by(line: &[u8]) -> Option<Said> {
    match field(line, b"event:") {
        Some(b"message_stop" | b"response.completed" | b"response.incomplete") => Some(Said::Done),
        Some(b"error" | b"response.failed") => Some(Said::Error),
        Some(_) => None,
        None => field(line, b"data:")
            .filter(|data| is_error_object(data))
            .map(|_| Said::Error),
    }
}

/// The field's value, without the one space that may follow the colon.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = line.strip_prefix(name)?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

/// `{"error":{…` or `{"error":"…`; not `{"error":null`, which some upstreams put into every chunk.
fn is_error_object(data: &[u8]) -> bool {
    let rest = data.strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    let rest = rest
        .and_then(|rest| rest.strip_prefix(b"\"error\""))
        .map(<[u8]>::trim_ascii_start);
    let value = rest
        .and_then(|rest| rest.strip_prefix(b":"))
        .map(<[u8]>::trim_ascii_start);
    matches!(value, Some([b'{' | b'"', ..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail_of(stream: &[u8]) -> SseTail {
        let mut tail = SseTail::default();
        tail.push(stream);
        tail
    }

    const SAMPLES: [&[u8]; 8] = [
        b"data: {\"n\":1}\n\ndata: {\"n\":2}\n\ndata: [DONE]\n\n",
        b"data: {\"n\":1}\r\n\r\ndata: [DONE]\r\n\r\n",
        b"data: {\"n\":1}\r\rdata: [DONE]\r\r",
        b": ping\n\ndata: {\"n\":1}\ndata: more \xf0\x9f\xa6\x80 than one line, and longer than what is kept\n\n",
        b"event: content_block_stop\ndata: {}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        b"data: {\"n\":1}\n\ndata: {\"error\": {\"message\":\"overloaded\"}}\n\n",
        b"event: error\r\ndata: {}\r\n\r\n",
        b"data: {\"error\":null}\n\ndata: [DONE] not\n\ndata: half an eve",
    ];

    #[test]
    fn each_sample_is_understood() {
        let seen = SAMPLES.map(|sample| {
            let tail = tail_of(sample);
            (tail.at_boundary(), tail.said())
        });
        let done = (true, Some(Said::Done));
        let error = (true, Some(Said::Error));
        assert_eq!(
            seen,
            [
                done,
                done,
                done,
                (true, None),
                done,
                error,
                error,
                (false, None)
            ]
        );
    }

    #[test]
    fn every_two_way_split_ends_in_the_same_state() {
        for sample in SAMPLES {
            let whole = tail_of(sample);
            for cut in 0..=sample.len() {
                let mut tail = tail_of(&sample[..cut]);
                tail.push(&sample[cut..]);
                assert_eq!(tail.at_boundary(), whole.at_boundary(), "cut at {cut}");
                assert_eq!(tail.said(), whole.said(), "cut at {cut}");
                assert_eq!(tail.has_names(), whole.has_names(), "cut at {cut}");
            }
        }
    }

    #[test]
    fn every_prefix_is_judged_the_same_byte_by_byte() {
        for sample in SAMPLES {
            let mut tail = SseTail::default();
            for end in 0..sample.len() {
                tail.push(&sample[end..=end]);
                let at_once = tail_of(&sample[..=end]);
                assert_eq!(tail.at_boundary(), at_once.at_boundary(), "after {end}");
                assert_eq!(tail.said(), at_once.said(), "after {end}");
            }
        }
    }

    #[test]
    fn done_counts_from_its_last_byte_and_an_event_from_its_blank_line() {
        assert_eq!(tail_of(b"data: [DONE").said(), None);
        assert_eq!(tail_of(b"data: [DONE]").said(), Some(Said::Done));
        assert_eq!(tail_of(b"data:[DONE]\n").said(), Some(Said::Done));
        assert_eq!(tail_of(b"data: [DONE] or not").said(), None);
        assert_eq!(
            tail_of(b"event: message_stop\ndata: {\"type\"").said(),
            None
        );
    }

    #[test]
    fn a_name_counts_from_its_field_and_data_that_looks_like_one_does_not() {
        assert!(tail_of(b"event:").has_names());
        assert!(tail_of(b"event: ping\ndata: {}\n\ndata: 1\n\n").has_names());
        assert!(!tail_of(b"data: event: ping\n\n: event: ping\n\neven").has_names());
    }

    #[test]
    fn two_line_feeds_close_whatever_was_open() {
        for open in [
            &b"data: x"[..],
            b"data: x\n",
            b"data: x\r",
            b"data: x\r\n",
            b"event: a\ndat",
        ] {
            let mut tail = tail_of(open);
            assert!(!tail.at_boundary());
            tail.push(b"\n\n");
            assert!(tail.at_boundary(), "{open:?}");
        }
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let mut tail = SseTail::default();
        for _ in 0..1000 {
            tail.push(&[b'x'; 1000]);
        }
        assert!(!tail.at_boundary());
        assert!(size_of::<SseTail>() < 128);
    }
}
