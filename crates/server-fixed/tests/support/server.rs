//! A server as a process of its own, and a client that needs nothing. Shared with the tests of
//! server-fixed; each test crate says in its root which binary it is about.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// More than a busy machine needs for anything that should take no time.
pub const SOON: Duration = Duration::from_secs(10);

pub const MS: Duration = Duration::from_millis(1);

/// A server on free ports; it is killed when this is dropped.
pub struct Server {
    process: Child,
    listening: SocketAddr,
    gauges: SocketAddr,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
    /// From before the connection until the end of the body.
    pub took: Duration,
}

impl Server {
    /// Starts the binary with these flags and waits for its announcements.
    pub fn start(flags: &str) -> Self {
        let mut process = Command::new(crate::SERVER)
            .args(["--listen", "127.0.0.1:0", "--gauges", "127.0.0.1:0"])
            .args(flags.split_whitespace())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let mut announced = |what: &str| {
            let line = lines.next().expect("an announcement").expect("text");
            let address = line.strip_prefix(&format!("{what} on http://"));
            address.expect(what).parse().expect("an address")
        };
        Self {
            gauges: announced("gauges"),
            listening: announced("listening"),
            process,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        request(self.listening, "GET", path).await
    }

    /// The same request `count` times at once, each from a client of its own; aborting one hangs up.
    pub fn clients(
        &self,
        count: usize,
        method: &'static str,
        path: &str,
    ) -> Vec<JoinHandle<Answer>> {
        let address = self.listening;
        (0..count)
            .map(|_| {
                let path = path.to_owned();
                tokio::spawn(async move { request(address, method, &path).await })
            })
            .collect()
    }

    /// A gauge on the watchdog's port.
    pub async fn gauge(&self, name: &str) -> Value {
        let answer = request(self.gauges, "GET", "/gauges").await;
        let mut all: Value = serde_json::from_str(&answer.body).expect("JSON");
        all[name].take()
    }

    /// Waits until a gauge is so.
    pub async fn until(&self, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let gauge = self.gauge(name).await;
            if is_so(&gauge) {
                return gauge;
            }
            assert!(
                start.elapsed() < SOON,
                "not within {SOON:?}: {name} {gauge}"
            );
            tokio::time::sleep(10 * MS).await;
        }
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn has_header(&self, line: &str) -> bool {
        self.head.lines().any(|header| header == line)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub async fn all(clients: Vec<JoinHandle<Answer>>) -> Vec<Answer> {
    let mut answers = Vec::new();
    for client in clients {
        answers.push(client.await.expect("no panic"));
    }
    answers
}

async fn request(address: SocketAddr, method: &str, path: &str) -> Answer {
    let start = Instant::now();
    let mut peer = TcpStream::connect(address).await.expect("a connection");
    let text = format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    peer.write_all(text.as_bytes()).await.expect("written");
    let mut answer = String::new();
    peer.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    Answer {
        status: head
            .split(' ')
            .nth(1)
            .expect("a status")
            .parse()
            .expect("a number"),
        head: head.to_owned(),
        body: body.to_owned(),
        took: start.elapsed(),
    }
}
