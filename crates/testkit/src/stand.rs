use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use mock_llm::Mock;
use mock_llm::config::Config;

use crate::http::{Client, Request};
use crate::server::Server;
use crate::upstream::upstream;
use crate::wait::eventually;

/// How long nothing must change before it counts as stuck.
pub const STUCK: Duration = Duration::from_millis(1500);

/// A server, a process of its own, in front of a mock upstream in the process of the test, and clients
/// that hang up.
pub struct Stand {
    /// The upstream, whose ledger is the witness.
    pub mock: Mock,
    /// Where the upstream listens.
    pub upstream: SocketAddr,
    /// The server.
    pub server: Server,
}

impl Stand {
    /// Starts the program in front of a mock of its own.
    pub fn start(program: impl AsRef<Path>, flags: &[&str]) -> Self {
        Self::before(program, upstream(Config::default()), flags)
    }

    /// Starts the program in front of this mock.
    pub fn before(
        program: impl AsRef<Path>,
        (mock, upstream): (Mock, SocketAddr),
        flags: &[&str],
    ) -> Self {
        let url = format!("http://{upstream}");
        let flags = [&["--upstream", &url, "--worker-threads", "2"], flags].concat();
        Self {
            mock,
            upstream,
            server: Server::start(program, &flags),
        }
    }

    /// Sends a request.
    pub async fn send(&self, request: &Request) -> Client {
        self.server.send(request).await
    }

    /// Sends a request that is answered at once, if at all.
    pub async fn ask(&self) -> Client {
        let quick = [("x-mock-ttft", "0s"), ("x-mock-chunks", "1")];
        let request = Request::get("/disconnect/stream").with(&quick);
        self.send(&request).await
    }

    /// A figure of the gauge `disconnect`.
    pub async fn figure(&self, name: &str) -> u64 {
        let figure = self.server.gauge("disconnect").await[name].as_u64();
        figure.unwrap_or_else(|| panic!("no {name}"))
    }

    /// Permits in use.
    pub async fn permits(&self) -> u64 {
        self.figure("permits_in_use").await
    }

    /// Streams open at the upstream.
    pub fn open(&self) -> u64 {
        self.mock.ledger().tally().open
    }

    /// `count` clients at once that hang up at a moment of their streams.
    pub async fn hang_ups(&self, count: u64, moment: Moment, flow: Flow, request: &Request) {
        let request = request.clone().with(&moment.shape(flow));
        let started = || self.mock.ledger().tally().started;
        let expected = started() + count;
        let mut clients = Vec::new();
        for _ in 0..count {
            clients.push(self.send(&request).await);
        }
        eventually("the upstream has the requests", async || {
            started() >= expected
        })
        .await;
        for client in &mut clients {
            // A chat begins with an event that says who speaks.
            moment.reach(client, usize::from(request.has_body())).await;
        }
        drop(clients);
    }
}

impl Request {
    /// A chat, streamed, whose body has at least `bytes` bytes.
    pub fn chat(bytes: usize) -> Self {
        let question = "x".repeat(bytes);
        let body = format!(
            r#"{{"model":"any","stream":true,"messages":[{{"role":"user","content":"{question}"}}]}}"#
        );
        Self::post("/disconnect/v1/chat/completions", body)
    }
}

impl Client {
    /// Reads a whole stream, and returns all of it.
    pub async fn is_served(&mut self) -> String {
        let seen = self.read_until(|seen| seen.ends_with("0\r\n\r\n")).await;
        assert!(seen.starts_with("HTTP/1.1 200 "), "{seen}");
        seen
    }
}

/// When in a stream its client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before the head of the answer.
    BeforeHead,
    /// Between the head and the first token.
    BeforeFirstToken,
    /// After some tokens.
    MidStream,
    /// After the last token, before the end.
    AfterLastContent,
}

/// All of them.
pub const MOMENTS: [Moment; 4] = [
    Moment::BeforeHead,
    Moment::BeforeFirstToken,
    Moment::MidStream,
    Moment::AfterLastContent,
];

/// What the upstream does once its client has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It goes on soon, for minutes; after the last content it ends.
    Streams,
    /// It says nothing any more.
    Silent,
}

/// Both of them.
pub const FLOWS: [Flow; 2] = [Flow::Streams, Flow::Silent];

/// How many content events a client has seen in mid-stream, and at the end of a short stream.
const CONTENT: usize = 3;

impl Moment {
    /// The headers that make the mock behave so.
    pub fn shape(self, flow: Flow) -> Vec<(&'static str, &'static str)> {
        let fault = |fault| ("x-mock-fault", fault);
        let first_after = |time| ("x-mock-ttft", time);
        let (quick, short) = (first_after("10ms"), ("x-mock-chunks", "3"));
        let mut shape = match (self, flow) {
            (Self::BeforeHead, Flow::Streams) => vec![fault("slow-headers=400ms"), quick],
            (Self::BeforeHead, Flow::Silent) => vec![fault("slow-headers=1h")],
            (Self::BeforeFirstToken, Flow::Streams) => vec![first_after("400ms")],
            (Self::BeforeFirstToken, Flow::Silent) => vec![first_after("1h")],
            (Self::MidStream, Flow::Streams) => vec![quick],
            (Self::MidStream, Flow::Silent) => vec![quick, fault("stall@3")],
            (Self::AfterLastContent, Flow::Streams) => vec![quick, short],
            (Self::AfterLastContent, Flow::Silent) => vec![quick, short, fault("stall@3")],
        };
        if !shape.contains(&short) {
            shape.push(("x-mock-chunks", "10000"));
        }
        shape.push(("x-mock-interval", "50ms"));
        shape
    }

    /// Reads as far as a client gets that leaves at this moment.
    pub async fn reach(self, client: &mut Client, before_content: usize) {
        let events = match self {
            Self::BeforeHead => return,
            Self::BeforeFirstToken => 0,
            Self::MidStream | Self::AfterLastContent => CONTENT + before_content,
        };
        let is_there =
            |seen: &str| seen.contains("\r\n\r\n") && seen.matches("data: ").count() >= events;
        client.read_until(is_there).await;
    }
}
