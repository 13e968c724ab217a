/// Reads server-sent events from bytes that arrive sliced anywhere.
///
/// The name and the `data` of an event are kept; of several `data` lines in one event, joined by
/// newlines, as the HTML standard has it (section 9.2.6).
#[derive(Debug, Default)]
pub struct SseReader {
    line: Vec<u8>,
    name: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    after_carriage_return: bool,
}

impl SseReader {
    /// Adds `bytes` and hands the data of every event that they complete to `event`.
    pub fn feed(&mut self, bytes: &[u8], mut event: impl FnMut(&[u8])) {
        self.feed_named(bytes, |_, data| event(data));
    }

    /// The same, with the name of the event before its data. A name alone makes no event.
    pub fn feed_named(&mut self, bytes: &[u8], mut event: impl FnMut(&[u8], &[u8])) {
        for &byte in bytes {
            let second_of_pair = std::mem::take(&mut self.after_carriage_return) && byte == b'\n';
            if second_of_pair {
                continue;
            }
            match byte {
                b'\n' => self.end_line(&mut event),
                b'\r' => {
                    self.after_carriage_return = true;
                    self.end_line(&mut event);
                }
                _ => self.line.push(byte),
            }
        }
    }

    fn end_line(&mut self, event: &mut impl FnMut(&[u8], &[u8])) {
        if self.line.is_empty() {
            if std::mem::take(&mut self.has_data) {
                event(&self.name, &self.data);
            }
            self.data.clear();
            self.name.clear();
            return;
        }
        if let Some(name) = self.line.strip_prefix(b"event:") {
            self.name = name.trim_ascii().to_vec();
        }
        if let Some(data) = self.line.strip_prefix(b"data:") {
            if self.has_data {
                self.data.push(b'\n');
            }
            self.data
                .extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
            self.has_data = true;
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_wherever_the_bytes_are_sliced() {
        let text = "data: {\"chunk\":0}\n\n: comment\r\nevent: x\r\ndata:töken\r\ndata: two\r\n\r\ndata: [DONE]\n\n".as_bytes();
        let expected = ["{\"chunk\":0}", "töken\ntwo", "[DONE]"];
        for cut in 0..text.len() {
            for second in cut..text.len() {
                let mut reader = SseReader::default();
                let mut events = Vec::new();
                for part in [&text[..cut], &text[cut..second], &text[second..]] {
                    reader.feed(part, |data| {
                        events.push(String::from_utf8_lossy(data).into_owned());
                    });
                }
                assert_eq!(events, expected, "cut at {cut} and {second}");
            }
        }
    }

    #[test]
    fn an_unfinished_event_is_not_an_event() {
        let mut reader = SseReader::default();
        reader.feed(b"data: half\n", |_| panic!("no event yet"));
    }
}
