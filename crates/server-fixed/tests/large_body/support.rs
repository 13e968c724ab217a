//! A server as a real process, and clients that speak HTTP/1.1 byte by byte, because what matters is
//! when which byte is sent. The tests of server-broken use this file too.
#![allow(dead_code, reason = "each of the two test binaries uses a part of it")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// More than a busy machine needs for anything that is not made to wait.
pub const SOON: Duration = Duration::from_secs(5);

/// A server on free ports; killed when this is dropped.
pub struct Server {
    pub process: Child,
    pub address: SocketAddr,
    pub gauges: SocketAddr,
}

impl Server {
    pub fn start(binary: &str, flags: &[&str]) -> Self {
        let mut process = Command::new(binary)
            .args(["--listen", "127.0.0.1:0", "--gauges", "127.0.0.1:0"])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let stdout = process.stdout.take().expect("piped");
        let mut lines = BufReader::new(stdout).lines();
        let mut announced = |what: &str| {
            let line = lines.next().expect("announced").expect("text");
            let address = line.strip_prefix(what).expect(what);
            address.parse().expect("an address")
        };
        Self {
            gauges: announced("gauges on http://"),
            address: announced("listening on http://"),
            process,
        }
    }

    pub async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.expect("accepted"))
    }

    /// One request on a connection of its own.
    pub async fn post(&self, path: &str, body: &[u8]) -> Answer {
        self.connect().await.post(path, body).await
    }

    pub async fn gauge(&self, name: &str) -> Value {
        let stream = TcpStream::connect(self.gauges).await.expect("accepted");
        let mut client = Client(stream);
        client
            .send(b"GET /gauges HTTP/1.1\r\nhost: test\r\n\r\n")
            .await;
        client.answer().await.json()[name].take()
    }

    /// Peak of the memory that was ever resident.
    #[cfg(target_os = "linux")]
    pub fn rss_peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.expect("it lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        kilobytes.expect("known").parse::<u64>().expect("a number") * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub struct Client(pub TcpStream);

impl Client {
    /// Sends, and ignores a server that takes no more.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).await;
    }

    /// The head of a request with a body of `length` bytes.
    pub async fn announce(&mut self, path: &str, length: usize) {
        self.send(head(path, &format!("content-length: {length}")).as_bytes())
            .await;
    }

    pub async fn post(&mut self, path: &str, body: &[u8]) -> Answer {
        self.announce(path, body.len()).await;
        self.send(body).await;
        self.answer().await
    }

    /// Reads one answer that has a `Content-Length`.
    pub async fn answer(&mut self) -> Answer {
        let mut bytes = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&bytes);
            if let Some((head, body)) = text.split_once("\r\n\r\n")
                && body.len() >= length(head)
            {
                return Answer {
                    status: head
                        .split(' ')
                        .nth(1)
                        .expect("a status")
                        .parse()
                        .expect("200"),
                    head: head.to_lowercase(),
                    body: body.to_owned(),
                };
            }
            let read = self.0.read_buf(&mut bytes).await.expect("no reset");
            assert!(read > 0, "closed without an answer");
        }
    }
}

pub fn head(path: &str, header: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: test\r\nx-client: the test\r\n{header}\r\n\r\n")
}

fn length(head: &str) -> usize {
    let head = head.to_lowercase();
    let line = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    line.map_or(0, |length| length.trim().parse().expect("a length"))
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The sentence in an error.
    pub fn message(&self) -> String {
        let json = self.json();
        json["error"]["message"]
            .as_str()
            .expect("a sentence")
            .to_owned()
    }
}

/// A body of about `bytes` bytes: `items` with short texts and long vectors.
pub fn body(bytes: usize) -> Vec<u8> {
    let vector = vec!["0.1234567"; 1000].join(",");
    let mut body = String::from(r#"{"model":"m","items":["#);
    let mut id = 0;
    while id == 0 || body.len() < bytes {
        let comma = if id == 0 { "" } else { "," };
        let item = format!(r#"{comma}{{"id":{id},"text":"some text","vector":[{vector}]}}"#);
        body.push_str(&item);
        id += 1;
    }
    body.push_str("]}");
    body.into_bytes()
}

pub const SMALL: &[u8] = br#"{"model":"m","items":[{"id":1,"text":"small","vector":[0.5]}]}"#;

/// While one large `/pong` after the other is answered, small requests come on connections of their own
/// without a pause. For each large one, the share of its time in which no small one was answered: the
/// longest pause between two of their answers. The median of these, which a moment in which the machine
/// was busy does not move.
pub async fn longest_pause(server: &Server, large: &[u8], times: usize) -> f64 {
    let mut pauses = Vec::new();
    for _ in 0..times {
        let started = Instant::now();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let small = async || {
            let mut answers = Vec::new();
            while !*stopped.borrow() {
                let answer = server.post("/ping", SMALL).await;
                assert_eq!(answer.status, 200, "{}", answer.body);
                answers.push(started.elapsed());
            }
            answers
        };
        let large = async {
            let answer = server.post("/pong", large).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            let took = started.elapsed();
            stop.send_replace(true);
            took
        };
        let (took, one, two, three) = tokio::join!(large, small(), small(), small());
        let mut answers = [one, two, three].concat();
        answers.extend([Duration::ZERO, took]);
        answers.retain(|at| *at <= took);
        answers.sort_unstable();
        let pause = answers
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .max()
            .expect("from its beginning to its end");
        pauses.push(pause.as_secs_f64() / took.as_secs_f64());
    }
    pauses.sort_by(f64::total_cmp);
    println!("pauses as shares: {pauses:.2?}");
    pauses[times / 2]
}

/// What a small body costs that is asked to cost much.
const COSTLY: Duration = Duration::from_millis(300);

/// How often, of `times`, a small request on a connection of its own waited for more than a third of
/// what a costly one takes, which was sent shortly before over a kept connection.
pub async fn waits_behind_a_costly_one(server: &Server, times: usize) -> usize {
    let path = format!("/ping?work={}ms", COSTLY.as_millis());
    let head = head(&path, &format!("content-length: {}", SMALL.len()));
    // In one piece, so that it is one event for the server.
    let costly = [head.as_bytes(), SMALL].concat();
    let mut kept = server.connect().await;
    let mut waits = Vec::new();
    for _ in 0..times {
        tokio::time::sleep(COSTLY / 10).await;
        kept.send(&costly).await;
        tokio::time::sleep(COSTLY / 10).await;
        let asked = Instant::now();
        assert_eq!(server.post("/ping", SMALL).await.status, 200);
        waits.push(asked.elapsed());
        let answer = kept.answer().await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    println!("waits: {waits:.0?}");
    waits.iter().filter(|wait| **wait > COSTLY / 3).count()
}
