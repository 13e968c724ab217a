//! An HTTP/1.1 client that sends and reads just what it is told to, and leaves when it is told to.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::wait::PATIENCE;

/// A request, as it is sent.
#[derive(Clone)]
pub struct Request {
    head: String,
    body: Vec<u8>,
}

impl Request {
    /// `GET` a path.
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// `POST` a body to a path.
    pub fn post(path: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let length = body.len().to_string();
        Self {
            body,
            ..Self::new("POST", path).with(&[("content-length", &length)])
        }
    }

    /// A request without a body.
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            head: format!("{method} {path} HTTP/1.1\r\nhost: test\r\nx-client: the test\r\n"),
            body: Vec::new(),
        }
    }

    /// With more headers.
    pub fn with(mut self, headers: &[(&str, &str)]) -> Self {
        for (name, value) in headers {
            self.head += &format!("{name}: {value}\r\n");
        }
        self
    }

    /// On a connection that ends with its answer.
    pub fn closing(self) -> Self {
        self.with(&[("connection", "close")])
    }

    /// Whether there is a body.
    pub fn has_body(&self) -> bool {
        !self.body.is_empty()
    }

    /// All of it.
    pub fn bytes(&self) -> Vec<u8> {
        [self.head.as_bytes(), b"\r\n", &self.body].concat()
    }
}

/// An answer that is over.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// Its body, whole.
    pub body: String,
    /// From before the connection, or before the answer was waited for, until its end.
    pub took: Duration,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Whether there is this line among the headers.
    pub fn has_header(&self, line: &str) -> bool {
        self.head.lines().any(|header| header == line)
    }

    /// The sentence in a JSON error.
    pub fn message(&self) -> String {
        let json = self.json();
        let sentence = json["error"]["message"].as_str();
        sentence.expect("a sentence").to_owned()
    }
}

/// What came until the end of a connection.
#[derive(Debug)]
pub struct Rest {
    /// All of it, as it came.
    pub text: String,
    /// What each read returned.
    pub pieces: Vec<Vec<u8>>,
    /// Whether the connection was reset rather than closed.
    pub reset: bool,
}

impl Rest {
    /// Whether the body was ended as chunked encoding asks for.
    pub fn is_terminated(&self) -> bool {
        self.text.ends_with("\r\n0\r\n\r\n")
    }

    /// What came after the head.
    pub fn body(&self) -> &str {
        let parts = self.text.split_once("\r\n\r\n");
        parts.map_or("", |(_, body)| body)
    }
}

/// Sends a request on a connection of its own, which ends with the answer.
pub async fn ask(to: SocketAddr, request: Request) -> Answer {
    let start = Instant::now();
    let mut client = Client::send_to(to, &request.closing()).await;
    let answer = client.answer().await;
    Answer {
        took: start.elapsed(),
        ..answer
    }
}

/// A connection. When it is dropped, it is closed; what has come must have been read until then, or the
/// kernel sends a reset.
pub struct Client {
    /// Its socket.
    pub socket: TcpStream,
    seen: Vec<u8>,
}

impl Client {
    /// Connects.
    pub async fn connect(to: SocketAddr) -> Self {
        Self {
            socket: TcpStream::connect(to).await.expect("a connection"),
            seen: Vec::new(),
        }
    }

    /// Connects and sends a request.
    pub async fn send_to(to: SocketAddr, request: &Request) -> Self {
        let mut client = Self::connect(to).await;
        client.send(request).await;
        client
    }

    /// Sends a request, and forgets what has come before.
    pub async fn send(&mut self, request: &Request) {
        self.seen.clear();
        self.write(&request.bytes()).await;
    }

    /// Sends bytes. A server may answer and close before it has taken them all.
    pub async fn write(&mut self, bytes: &[u8]) {
        let _ = timeout(PATIENCE, self.socket.write_all(bytes)).await;
    }

    /// Reads until what has come is enough, and returns all of it.
    pub async fn read_until(&mut self, is_enough: impl Fn(&str) -> bool) -> String {
        loop {
            let seen = self.seen();
            if is_enough(&seen) {
                return seen;
            }
            let read = timeout(PATIENCE, self.read()).await;
            let read = read.unwrap_or_else(|_| panic!("nothing more: {seen}"));
            assert!(read > 0, "it ended: {seen}");
        }
    }

    /// Reads until this has come.
    pub async fn until(&mut self, text: &str) {
        self.read_until(|seen| seen.contains(text)).await;
    }

    /// Reads one answer: as long as it says, or to the end of the connection.
    pub async fn answer(&mut self) -> Answer {
        let start = Instant::now();
        loop {
            if let Some(answer) = self.whole_answer(start) {
                return answer;
            }
            if self.read().await == 0 {
                let seen = self.seen();
                let (head, body) = seen.split_once("\r\n\r\n").expect("an answer");
                return answered(head, body.as_bytes(), start);
            }
        }
    }

    /// Takes the answer out of what has come, if it has come to its end.
    fn whole_answer(&mut self, start: Instant) -> Option<Answer> {
        let end = self.seen.windows(4).position(|part| part == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&self.seen[..end]).into_owned();
        let rest = &self.seen[end + 4..];
        let (body, length) = if header(&head, "transfer-encoding").is_some() {
            unchunked(rest)?
        } else {
            let length = header(&head, "content-length")?.parse().expect("a length");
            (rest.get(..length)?.to_vec(), length)
        };
        self.seen.drain(..end + 4 + length);
        Some(answered(&head, &body, start))
    }

    /// Whether nothing at all comes within `time`.
    pub async fn hears_nothing_for(&mut self, time: Duration) -> bool {
        timeout(time, self.read()).await.is_err()
    }

    /// Reads to the end, whichever it is.
    pub async fn rest(mut self) -> Rest {
        let mut pieces = Vec::new();
        let reset = loop {
            let before = self.seen.len();
            match self.try_read().await {
                Ok(0) => break false,
                Ok(_) => pieces.push(self.seen[before..].to_vec()),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break true,
                Err(error) => panic!("unexpected {error}"),
            }
        };
        Rest {
            text: self.seen(),
            pieces,
            reset,
        }
    }

    /// Leaves with a reset.
    pub fn reset(self) {
        self.socket.set_zero_linger().expect("set");
    }

    /// What has come since the last request.
    pub fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    /// Reads what there is, and returns how much; a connection that breaks is at its end.
    async fn read(&mut self) -> usize {
        self.try_read().await.unwrap_or_default()
    }

    /// Takes all that has come: what stays unread would turn a close into a reset.
    async fn try_read(&mut self) -> std::io::Result<usize> {
        self.seen.reserve(64 * 1024);
        self.socket.read_buf(&mut self.seen).await
    }
}

fn answered(head: &str, body: &[u8], start: Instant) -> Answer {
    let status = head.split(' ').nth(1).expect("a status");
    Answer {
        status: status.parse().expect("a number"),
        head: head.to_owned(),
        body: String::from_utf8_lossy(body).into_owned(),
        took: start.elapsed(),
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (own, value) = line.split_once(':')?;
        own.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// A chunked body without its lengths, and how much of the text it is; nothing if it is not at its end.
fn unchunked(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line = text[at..].windows(2).position(|part| part == b"\r\n")?;
        let length = std::str::from_utf8(&text[at..at + line]).expect("a length");
        let length = usize::from_str_radix(length, 16).expect("a length");
        let begin = at + line + 2;
        body.extend(text.get(begin..begin + length)?);
        at = begin + length + 2;
        if length == 0 {
            return (at <= text.len()).then_some((body, at));
        }
    }
}
