//! An HTTP client that sends and reads just what it is told to, and leaves when it is told to.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::PATIENCE;
use super::stage::{CONTENT, Stage};

/// A request, as text.
#[derive(Clone)]
pub struct Request {
    head: String,
    body: String,
}

impl Request {
    pub fn get(path: &str) -> Self {
        Self {
            head: format!("GET {path} HTTP/1.1\r\nhost: test\r\n"),
            body: String::new(),
        }
    }

    /// A chat, streamed, whose body has at least `bytes` bytes.
    pub fn chat(bytes: usize) -> Self {
        let question = "x".repeat(bytes);
        let body = format!(
            r#"{{"model":"any","stream":true,"messages":[{{"role":"user","content":"{question}"}}]}}"#
        );
        let head = "POST /disconnect/v1/chat/completions HTTP/1.1\r\nhost: test\r\n";
        Self {
            head: format!("{head}content-length: {}\r\n", body.len()),
            body,
        }
    }

    pub fn with(mut self, headers: &[(&str, &str)]) -> Self {
        for (name, value) in headers {
            self.head += &format!("{name}: {value}\r\n");
        }
        self
    }

    pub fn closing(self) -> Self {
        self.with(&[("connection", "close")])
    }

    /// A chat begins with an event that says who speaks.
    pub fn events_before_content(&self) -> usize {
        usize::from(!self.body.is_empty())
    }
}

/// A connection with one request under way.
pub struct Client {
    socket: TcpStream,
    seen: String,
}

impl Client {
    pub async fn send(to: SocketAddr, request: &Request) -> Self {
        let socket = TcpStream::connect(to).await.expect("a connection");
        let mut client = Self {
            socket,
            seen: String::new(),
        };
        client.send_again(request).await;
        client
    }

    /// Sends another request on the same connection.
    pub async fn send_again(&mut self, request: &Request) {
        let text = format!("{}\r\n{}", request.head, request.body);
        self.seen.clear();
        // A server that does not read the body may answer before it is sent.
        let _ = tokio::time::timeout(PATIENCE, self.socket.write_all(text.as_bytes())).await;
    }

    /// Reads until what was seen is enough.
    pub async fn read_until(&mut self, is_enough: impl Fn(&str) -> bool) -> &str {
        let reading = async {
            while !is_enough(&self.seen) {
                assert!(self.read().await, "it ended: {}", self.seen);
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, reading).await;
        assert!(in_time.is_ok(), "nothing more: {}", self.seen);
        &self.seen
    }

    /// Reads a whole stream.
    pub async fn is_served(&mut self) {
        self.read_until(|seen| seen.ends_with("0\r\n\r\n")).await;
        assert!(self.seen.starts_with("HTTP/1.1 200 "), "{}", self.seen);
    }

    /// Whether nothing at all comes within `time`.
    pub async fn hears_nothing_for(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.read()).await.is_err()
    }

    pub async fn read_to_end(&mut self) -> String {
        while self.read().await {}
        self.seen.clone()
    }

    /// Reads as far as a client gets that leaves at `stage`.
    pub async fn reach(&mut self, stage: Stage, before_content: usize) {
        let events = match stage {
            Stage::BeforeHead => return,
            Stage::BeforeFirstToken => 0,
            Stage::MidStream | Stage::AfterLastContent => CONTENT + before_content,
        };
        self.read_until(|seen| {
            seen.contains("\r\n\r\n") && seen.matches("data: ").count() >= events
        })
        .await;
    }

    async fn read(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        let length = self.socket.read(&mut buffer).await.unwrap_or_default();
        self.seen += &String::from_utf8_lossy(&buffer[..length]);
        length > 0
    }
}
