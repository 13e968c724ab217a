//! Every fault of the upstream, over HTTP/1.1 and HTTP/2: the client can tell, the ending is right,
//! and nothing stays behind.

use std::time::Duration;

use mock_llm::fault::Fault;
use mock_llm::ledger::Cause;
use relay::{Protocol, Relay};

use crate::support::*;

/// What a client sees of a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Seen {
    /// Every byte that the upstream would have sent.
    Whole,
    /// This status, with a JSON error object.
    Status(u16),
    /// An error event with this code after so many events, then a clean end.
    ErrorEvent(usize, &'static str),
    /// The upstream's own error event after so many events, then a clean end.
    UpstreamsError(usize),
    /// A transfer that was broken off.
    BrokenOff,
}

use Seen::*;

/// Why the upstream's stream ended: by its own fault, or because the relay left.
#[derive(Clone, Copy, Debug)]
enum Why {
    Its(Cause),
    RelayLeft,
}

use Why::{Its, RelayLeft};

struct Row {
    fault: &'static str,
    seen: Seen,
    ending: &'static str,
    why: Why,
}

const fn row(fault: &'static str, seen: Seen, ending: &'static str, why: Why) -> Row {
    Row {
        fault,
        seen,
        ending,
        why,
    }
}

/// Of event streams of 5 events and a terminal one.
#[rustfmt::skip]
const STREAMS: [Row; 22] = [
    row("none", Whole, "complete", Its(Cause::Completed)),
    row("status=429,1s", Status(429), "upstream_status", Its(Cause::StatusSent)),
    row("status=503", Status(503), "upstream_status", Its(Cause::StatusSent)),
    row("slow-headers=100ms", Whole, "complete", Its(Cause::Completed)),
    row("slow-headers=1h", Status(504), "idle_timeout", RelayLeft),
    row("stall@0", ErrorEvent(0, "upstream_idle_timeout"), "idle_timeout", RelayLeft),
    row("stall@3", ErrorEvent(3, "upstream_idle_timeout"), "idle_timeout", RelayLeft),
    row("stall@5", ErrorEvent(5, "upstream_idle_timeout"), "idle_timeout", RelayLeft),
    row("error@0", UpstreamsError(0), "in_band_error", Its(Cause::ErrorSent)),
    row("error@3,overloaded_error", UpstreamsError(3), "in_band_error", Its(Cause::ErrorSent)),
    row("eof@0", ErrorEvent(0, "upstream_truncated"), "truncated", Its(Cause::Eof)),
    row("eof@3", ErrorEvent(3, "upstream_truncated"), "truncated", Its(Cause::Eof)),
    row("eof@5", ErrorEvent(5, "upstream_truncated"), "truncated", Its(Cause::Eof)),
    row("cut@0", ErrorEvent(0, "upstream_failed"), "upstream_failed", Its(Cause::Cut)),
    row("cut@3", ErrorEvent(3, "upstream_failed"), "upstream_failed", Its(Cause::Cut)),
    row("cut@5", ErrorEvent(5, "upstream_failed"), "upstream_failed", Its(Cause::Cut)),
    row("reset@0", ErrorEvent(0, "upstream_failed"), "upstream_failed", Its(Cause::Reset)),
    row("reset@3", ErrorEvent(3, "upstream_failed"), "upstream_failed", Its(Cause::Reset)),
    row("malformed@3", Whole, "complete", Its(Cause::Completed)),
    row("slice=1", Whole, "complete", Its(Cause::Completed)),
    row("slice=2", Whole, "complete", Its(Cause::Completed)),
    row("slice=7", Whole, "complete", Its(Cause::Completed)),
];

/// Of answers that are sent whole, without a length, which a clean end cannot be told from.
#[rustfmt::skip]
const DOCUMENTS: [Row; 9] = [
    row("none", Whole, "complete", Its(Cause::Completed)),
    row("status=500", Status(500), "upstream_status", Its(Cause::StatusSent)),
    row("slow-headers=1h", Status(504), "idle_timeout", RelayLeft),
    row("stall@3", Status(504), "idle_timeout", RelayLeft),
    row("error@3", Status(500), "upstream_status", Its(Cause::ErrorSent)),
    row("cut@3", BrokenOff, "upstream_failed", Its(Cause::Cut)),
    row("reset@3", BrokenOff, "upstream_failed", Its(Cause::Reset)),
    row("malformed@3", Whole, "complete", Its(Cause::Completed)),
    row("slice=3", Whole, "complete", Its(Cause::Completed)),
];

/// Of Anthropic's event streams of 5 texts, in which every event has a name and the last is
/// `message_stop`: what breaks one is told by an event that has a name as well.
#[rustfmt::skip]
const MESSAGES: [Row; 12] = [
    row("none", Whole, "complete", Its(Cause::Completed)),
    row("status=529", Status(529), "upstream_status", Its(Cause::StatusSent)),
    row("slow-headers=1h", Status(504), "idle_timeout", RelayLeft),
    row("stall@3", ErrorEvent(3, "upstream_idle_timeout"), "idle_timeout", RelayLeft),
    row("stall@5", ErrorEvent(5, "upstream_idle_timeout"), "idle_timeout", RelayLeft),
    row("error@3,overloaded_error", UpstreamsError(3), "in_band_error", Its(Cause::ErrorSent)),
    row("eof@1", ErrorEvent(1, "upstream_truncated"), "truncated", Its(Cause::Eof)),
    row("eof@5", ErrorEvent(5, "upstream_truncated"), "truncated", Its(Cause::Eof)),
    row("cut@3", ErrorEvent(3, "upstream_failed"), "upstream_failed", Its(Cause::Cut)),
    row("reset@3", ErrorEvent(3, "upstream_failed"), "upstream_failed", Its(Cause::Reset)),
    row("malformed@3", Whole, "complete", Its(Cause::Completed)),
    row("slice=7", Whole, "complete", Its(Cause::Completed)),
];

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Asked {
    Stream,
    Document,
    Messages,
}

use Asked::{Document, Messages, Stream};

/// Connections that are kept for the next exchange: those of the patient relay, of which one that is
/// not back in time makes two, and over HTTP/2 the other's.
const KEPT: u64 = 3;

#[test]
fn every_kind_of_fault_has_a_row() {
    let kind = |fault: &Fault| std::mem::discriminant(fault);
    let rows = STREAMS.iter().chain(&DOCUMENTS);
    let faults = rows.filter_map(|row| row.fault.parse::<Fault>().ok());
    let kinds: std::collections::HashSet<_> = faults.map(|fault| kind(&fault)).collect();
    // Those that `Fault` documents.
    let all = [
        "status=500",
        "slow-headers=1s",
        "stall@0",
        "error@0",
        "eof@0",
        "cut@0",
        "reset@0",
    ];
    let all = all.iter().chain(&["malformed@0", "slice=1"]);
    for fault in all {
        let fault: Fault = fault.parse().unwrap();
        assert!(kinds.contains(&kind(&fault)), "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_has_a_defined_ending_and_leaves_nothing_over_http1() {
    every_row_holds(Protocol::Http1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_has_a_defined_ending_and_leaves_nothing_over_http2() {
    every_row_holds(Protocol::Http2PriorKnowledge).await;
}

/// Silence is waited for by a relay of its own: whatever else fails must not pass for it on a machine
/// that is busy.
async fn every_row_holds(protocol: Protocol) {
    let (mock, upstream) = upstream(|_| {});
    let relay = |timeouts| {
        let url = format!("http://{upstream}").parse().unwrap();
        let relay = Relay::new(url, timeouts, 10).unwrap();
        relay.with_protocol(protocol).unwrap()
    };
    let patient = Stand::of(mock.clone(), relay(generous())).await;
    let short = generous().with_idle(Duration::from_millis(1500));
    let impatient = Stand::of(mock, relay(short)).await;
    let stand = |row: &Row| match row.ending {
        "idle_timeout" => &impatient,
        _ => &patient,
    };
    for (rows, asked) in [
        (&STREAMS[..], Stream),
        (&DOCUMENTS, Document),
        (&MESSAGES, Messages),
    ] {
        for row in rows {
            holds(stand(row), protocol, row, asked).await;
        }
    }
    // Of what is kept both ends are here, and the three listen.
    let ports = [upstream, patient.app, impatient.app].map(|address| address.port());
    let left = 3 + 2 * KEPT as usize;
    eventually("no socket stays open", async || sockets_of(&ports) <= left).await;
    let stands = [&patient, &impatient].map(|stand| stand.relay.snapshot());
    let endings = stands.iter().flat_map(|now| now.endings.values());
    let exchanges = STREAMS.len() + DOCUMENTS.len() + MESSAGES.len();
    assert_eq!(endings.sum::<u64>(), exchanges as u64);
    assert!(stands.iter().all(|now| now.permits_peak == 1));
}

async fn holds(stand: &Stand, protocol: Protocol, row: &Row, asked: Asked) {
    let Row {
        fault,
        seen,
        ending,
        why,
    } = row;
    let what = format!("{fault}, {protocol:?}, {asked:?}");
    let before = stand.relay.snapshot().endings[*ending];
    let body = serde_json::json!({
        "model": "any", "stream": asked != Document, "max_tokens": 100,
        "messages": [{ "role": "user", "content": "Hello" }]
    });
    let path = match asked {
        Stream => format!("/slow_stream?fault={fault}"),
        Document => "/v1/chat/completions".to_owned(),
        Messages => "/v1/messages".to_owned(),
    };
    let url = format!("http://{}{path}", stand.app);
    let request = if asked == Stream {
        stand.client.get(url)
    } else {
        let request = stand.client.post(url).header("x-mock-fault", *fault);
        request.body(body.to_string())
    };
    let response = request.send().await.expect(&what);
    let status = response.status().as_u16();
    let text = response.text().await;
    match *seen {
        Whole => {
            let text = text.expect(&what);
            assert_eq!(status, 200, "{what}: {text}");
            match asked {
                Stream => {
                    assert!(text.ends_with("data: [DONE]\n\n"), "{what}: {text}");
                    assert_eq!(text.matches("data: ").count(), 6, "{what}: {text}");
                }
                Document => {}
                Messages => {
                    let stop = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
                    assert!(text.ends_with(stop), "{what}: {text}");
                }
            }
        }
        Status(expected) => {
            let text = text.expect(&what);
            assert_eq!(status, expected, "{what}: {text}");
            let json: serde_json::Value = serde_json::from_str(&text).expect(&what);
            assert!(json["error"].is_object(), "{what}: {text}");
        }
        ErrorEvent(events, code) => {
            assert_eq!(status, 200, "{what}");
            let error = last_event(&text.expect(&what), asked, events, &what);
            assert_eq!(error["code"], code, "{what}");
            assert!(error["type"].is_string() && error["message"].is_string());
        }
        UpstreamsError(events) => {
            let error = last_event(&text.expect(&what), asked, events, &what);
            assert!(error["type"].is_string(), "{what}: {error}");
        }
        BrokenOff => assert!(text.is_err(), "{what}: {text:?}"),
    }
    stand.is_released().await;
    assert_eq!(
        stand.relay.snapshot().endings[*ending],
        before + 1,
        "{what}"
    );
    let cause = stand.last_ended().cause.unwrap();
    match (*why, protocol) {
        (Its(expected), _) => assert_eq!(cause, expected, "{what}"),
        (RelayLeft, Protocol::Http2PriorKnowledge) => {
            assert_eq!(cause, Cause::ClientStreamReset, "{what}");
        }
        (RelayLeft, _) => assert!(
            matches!(cause, Cause::ClientFin | Cause::ClientRst),
            "{what}: {cause:?}"
        ),
    }
    eventually(&what, async || stand.mock.stats().connections <= KEPT).await;
}

/// The error object of the last event, which so many others come before.
fn last_event(text: &str, asked: Asked, events: usize, what: &str) -> serde_json::Value {
    assert!(text.ends_with("\n\n"), "{what}: {text}");
    let all: Vec<_> = text.split_terminator("\n\n").collect();
    let (last, before) = all.split_last().expect(what);
    let (content, prefix) = match asked {
        Messages => ("event: content_block_delta\n", "event: error\ndata: "),
        _ => ("data: ", "data: "),
    };
    let content = before.iter().filter(|event| event.starts_with(content));
    assert_eq!(content.count(), events, "{what}: {text}");
    let json = last.strip_prefix(prefix).expect(what);
    let mut event: serde_json::Value = serde_json::from_str(json).expect(what);
    if asked == Messages {
        assert_eq!(event["type"], "error", "{what}: {text}");
    }
    event["error"].take()
}

/// Sockets that somebody has open with one of these ports at either end; whatever else this process
/// does meanwhile is not in it. Elsewhere than on Linux nothing is known of them.
fn sockets_of(ports: &[u16]) -> usize {
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap_or_default();
    let port = |address: &str| u16::from_str_radix(address.rsplit(':').next()?, 16).ok();
    let is_one = |line: &&str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let ends = [fields[1], fields[2]].map(port);
        // Without a number it is no file any more, but waits for its time to be over.
        let is_open = fields[9] != "0";
        is_open && ends.iter().flatten().any(|end| ports.contains(end))
    };
    table.lines().skip(1).filter(is_one).count()
}

#[tokio::test]
async fn a_socket_that_is_left_open_is_seen() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let left = tokio::net::TcpStream::connect(address).await.unwrap();
    let (peer, _) = listener.accept().await.unwrap();
    let seen = sockets_of(&[address.port()]);
    assert!(seen == 3 || !cfg!(target_os = "linux"), "{seen}");
    drop((left, peer));
    eventually("they are closed", async || {
        sockets_of(&[address.port()]) <= 1
    })
    .await;
}
