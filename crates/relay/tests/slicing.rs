//! A stream means the same wherever it is cut into chunks: inside a line end, inside a character,
//! inside the terminal event.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use relay::{Ending, Framing, Relay, Said, SseTail, Terminal, Timeouts};

/// Lines that mean something, that nearly do, and that do not.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let known = select(vec![
        "data: [DONE]",
        "data:[DONE]",
        "data: [DONE] ",
        "data:  [DONE]",
        "data: {\"n\":1,\"c\":\"žluť 🦀\"}",
        "data: {\"error\":{\"message\":\"m\"}}",
        "data: { \"error\" : \"m\"}",
        "data: {\"error\":null}",
        "event: message_stop",
        "event: error",
        "event: response.completed",
        "event: ping",
        ": comment 🦀",
        "id: 1",
        "data",
        "",
        "",
    ]);
    let known = known.prop_map(|line| line.as_bytes().to_vec());
    let any_byte = prop_oneof![Just(b'\r'), Just(b'\n'), any::<u8>()];
    prop_oneof![6 => known, 1 => vec(any_byte, 0..60)]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let end = select(vec!["\n", "\r\n", "\r", "\n\n", "\r\n\r\n", ""]);
    vec((line(), end), 0..12).prop_map(|lines| {
        let lines = lines.into_iter();
        lines
            .flat_map(|(line, end)| [line, end.into()].concat())
            .collect()
    })
}

/// `text` in pieces, cut where `cuts` say, in any order and number.
fn pieces(text: &[u8], cuts: &[prop::sample::Index]) -> Vec<Bytes> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
    at.extend([0, text.len()]);
    at.sort_unstable();
    let pieces = at.windows(2).map(|ends| &text[ends[0]..ends[1]]);
    pieces.map(Bytes::copy_from_slice).collect()
}

/// What a reader makes of the whole text, by the rules of the HTML standard, section 9.2.6: it ends a
/// line at CR LF, LF or CR, and dispatches an event at an empty line.
fn read_whole(text: &[u8]) -> (Option<Said>, bool) {
    let mut lines: Vec<Vec<u8>> = vec![vec![]];
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b'\n' if at > 0 && text[at - 1] == b'\r' => {}
            b'\n' | b'\r' => lines.push(vec![]),
            _ => lines.last_mut().unwrap().push(byte),
        }
    }
    let unfinished = lines.pop().unwrap();
    let is_done = |line: &[u8]| matches!(line, b"data: [DONE]" | b"data:[DONE]");
    let (mut said, mut event) = (None, vec![]);
    for line in lines {
        if is_done(&line) {
            said = said.or(Some(Said::Done));
        }
        if line.is_empty() {
            said = said.or_else(|| event.drain(..).rev().find_map(|line: Vec<u8>| says(&line)));
            event.clear();
        } else {
            event.push(line);
        }
    }
    let at_boundary = event.is_empty() && unfinished.is_empty();
    let done = is_done(&unfinished).then_some(Said::Done);
    (said.or(done), at_boundary)
}

fn says(line: &[u8]) -> Option<Said> {
    let line = String::from_utf8_lossy(line);
    let value = |name: &str| {
        let value = line.strip_prefix(name)?;
        Some(value.strip_prefix(' ').unwrap_or(value).to_owned())
    };
    if let Some(event) = value("event:") {
        return match event.as_str() {
            "message_stop" | "response.completed" | "response.incomplete" => Some(Said::Done),
            "error" | "response.failed" => Some(Said::Error),
            _ => None,
        };
    }
    let data: String = value("data:")?
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .collect();
    let is_error = data.starts_with("{\"error\":{") || data.starts_with("{\"error\":\"");
    is_error.then_some(Said::Error)
}

/// How the upstream goes on after its last byte.
#[derive(Clone, Copy, Debug)]
enum Then {
    Ends,
    Breaks,
    IsSilent,
}

/// What the client gets of these chunks, whether as a whole transfer, and how it counts.
fn relayed(chunks: Vec<Bytes>, then: Then, framing: Framing) -> (Vec<u8>, bool, Ending) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let upstream = "http://127.0.0.1:9".parse().unwrap();
        let relay = Relay::new(upstream, Timeouts::default(), 1).unwrap();
        let endings = Arc::new(Mutex::new(vec![]));
        let sink = Arc::clone(&endings);
        relay.on_end(move |ending, _| sink.lock().unwrap().push(ending));
        let chunks = stream::iter(chunks.into_iter().map(Ok::<_, &str>));
        let bytes = match then {
            Then::Ends => chunks.boxed(),
            Then::Breaks => chunks.chain(stream::iter([Err("broken")])).boxed(),
            Then::IsSilent => chunks.chain(stream::pending()).boxed(),
        };
        let mut body = relay.guard(bytes, relay.permit().unwrap(), framing);
        let (mut got, mut whole) = (vec![], true);
        while let Some(chunk) = body.next().await {
            match chunk {
                Ok(chunk) => got.extend_from_slice(&chunk),
                Err(_) => whole = false,
            }
        }
        drop(body);
        let snapshot = relay.snapshot();
        assert_eq!((snapshot.permits_in_use, snapshot.streams_open), (0, 0));
        let endings = endings.lock().unwrap();
        assert_eq!(endings.len(), 1, "{endings:?}");
        (got, whole, endings[0])
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_tail_of_a_stream_is_read_as_the_whole_of_it_at_every_cut(
        text in text(),
        cuts in vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let (mut tail, mut seen) = (SseTail::default(), 0);
        for piece in pieces(&text, &cuts) {
            tail.push(&piece);
            seen += piece.len();
            prop_assert_eq!((tail.said(), tail.at_boundary()), read_whole(&text[..seen]));
        }
        let mut bytewise = SseTail::default();
        text.iter().for_each(|byte| bytewise.push(&[*byte]));
        prop_assert_eq!((bytewise.said(), bytewise.at_boundary()), read_whole(&text));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_stream_is_relayed_and_ends_the_same_however_it_is_cut(
        text in text(),
        cuts in vec(any::<prop::sample::Index>(), 0..20),
        then in select(vec![Then::Ends, Then::Breaks, Then::IsSilent]),
        terminal in select(vec![Terminal::Required, Terminal::Optional]),
    ) {
        let framing = Framing::sse(terminal);
        let cut = relayed(pieces(&text, &cuts), then, framing);
        let whole = relayed(vec![Bytes::from(text.clone())], then, framing);
        prop_assert_eq!(&cut.2, &whole.2);
        prop_assert!(cut.1 && whole.1, "an event stream ends cleanly");
        prop_assert!(cut.0.starts_with(&text), "not a byte is lost or changed");
        // The waited time in the message is the clock's.
        let (added, as_whole) = (&cut.0[text.len()..], &whole.0[text.len()..]);
        prop_assert_eq!(added, as_whole);
        // What is added is an event of its own, and is there unless the stream said how it ended.
        let (said, at_boundary) = read_whole(&text);
        let optional = terminal == Terminal::Optional && at_boundary && matches!(then, Then::Ends);
        prop_assert_eq!(added.is_empty(), said.is_some() || optional);
        if !added.is_empty() {
            let (_, closed) = read_whole(&cut.0);
            prop_assert!(closed, "the error event is whole");
            let begins = |six: &[u8]| matches!(six, b"data: " | b"event:");
            let at = added.windows(6).position(begins).unwrap();
            prop_assert_eq!(at == 0, at_boundary, "a half event is closed before it");
        }
    }

    #[test]
    fn a_body_that_is_no_event_stream_passes_the_same_however_it_is_cut(
        text in vec(any::<u8>(), 1..200),
        cuts in vec(any::<prop::sample::Index>(), 0..20),
        announced in any::<bool>(),
        then in select(vec![Then::Ends, Then::Breaks, Then::IsSilent]),
    ) {
        let framing = opaque(announced.then_some(text.len() as u64));
        let (got, whole, ending) = relayed(pieces(&text, &cuts), then, framing);
        prop_assert_eq!(got, text);
        let expected = match then {
            _ if announced => Ending::Complete,
            Then::Ends => Ending::Complete,
            Then::Breaks => Ending::UpstreamFailed,
            Then::IsSilent => Ending::IdleTimeout,
        };
        prop_assert_eq!(ending, expected);
        prop_assert_eq!(whole, expected == Ending::Complete);
    }
}

/// The framing of a body that is no event stream, read from its head.
fn opaque(length: Option<u64>) -> Framing {
    let mut head = http::Response::builder().header("content-type", "application/json");
    if let Some(length) = length {
        head = head.header("content-length", length);
    }
    Framing::of(&head.body(()).unwrap().into_parts().0)
}

#[test]
fn the_idle_timeout_of_these_tests_costs_no_time() {
    let start = std::time::Instant::now();
    let framing = Framing::sse(Terminal::Required);
    let (_, _, ending) = relayed(vec![], Then::IsSilent, framing);
    assert_eq!(ending, Ending::IdleTimeout);
    assert!(start.elapsed() < Duration::from_secs(10));
}
