//! A scripted upstream that writes bytes, not HTTP objects, and an app that relays to it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use relay::{Relay, Timeouts};
pub use testkit::{Nobody, client};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub use crate::support::*;

pub const SSE_HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
pub const OPAQUE_HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// What the upstream does with each request it gets, in order.
#[derive(Clone, Debug)]
pub enum Step {
    Send(Vec<u8>),
    Pause(Duration),
    /// Says nothing until the peer hangs up.
    Silence,
    /// The same chunk every 5 ms until the peer hangs up.
    Repeat(Vec<u8>),
    Close,
    Reset,
}

pub fn send(text: &str) -> Step {
    Step::Send(text.as_bytes().to_vec())
}

pub fn chunk(data: &str) -> Step {
    Step::Send(chunked(data.as_bytes()))
}

pub fn chunked(data: &[u8]) -> Vec<u8> {
    let size = format!("{:x}\r\n", data.len());
    [size.as_bytes(), data, b"\r\n"].concat()
}

/// The last chunk of a chunked body; the connection stays open.
pub fn last_chunk() -> Step {
    send("0\r\n\r\n")
}

#[derive(Clone, Default)]
pub struct Upstream {
    /// Connections that the peer has not hung up on.
    open: Arc<AtomicUsize>,
    accepted: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Upstream {
    pub async fn spawn(script: Vec<Step>) -> (Self, SocketAddr) {
        let upstream = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let accepting = upstream.clone();
        tokio::spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                let (upstream, script) = (accepting.clone(), script.clone());
                upstream.open.fetch_add(1, Ordering::SeqCst);
                upstream.accepted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let _ = upstream.serve(connection, &script).await;
                    upstream.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        (upstream, addr)
    }

    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Head and body of each request.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    async fn serve(&self, mut peer: TcpStream, script: &[Step]) -> std::io::Result<()> {
        peer.set_nodelay(true)?;
        while let Some(request) = read_request(&mut peer).await? {
            self.requests.lock().unwrap().push(request);
            for step in script {
                match step {
                    Step::Send(bytes) => peer.write_all(bytes).await?,
                    Step::Pause(pause) => tokio::time::sleep(*pause).await,
                    Step::Silence => return silence(&mut peer).await,
                    Step::Repeat(bytes) => loop {
                        peer.write_all(bytes).await?;
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    },
                    Step::Close => return Ok(()),
                    Step::Reset => return peer.set_zero_linger(),
                }
            }
        }
        Ok(())
    }
}

async fn silence(peer: &mut TcpStream) -> std::io::Result<()> {
    while peer.read(&mut [0; 1024]).await? > 0 {}
    Ok(())
}

async fn read_request(peer: &mut TcpStream) -> std::io::Result<Option<String>> {
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&seen).to_ascii_lowercase();
        if let Some(head) = text.find("\r\n\r\n") {
            let length = text.split("content-length: ").nth(1).map_or(0, |rest| {
                rest.split("\r\n").next().unwrap().parse::<usize>().unwrap()
            });
            if seen.len() >= head + 4 + length {
                return Ok(Some(String::from_utf8(seen).unwrap()));
            }
        }
        match peer.read(&mut buffer).await? {
            0 => return Ok(None),
            n => seen.extend_from_slice(&buffer[..n]),
        }
    }
}

pub struct Lab {
    pub upstream: Upstream,
    pub relay: Relay,
    pub app: SocketAddr,
    pub client: reqwest::Client,
}

impl Lab {
    pub async fn spawn(timeouts: Timeouts, permits: usize, script: Vec<Step>) -> Self {
        let (upstream, addr) = Upstream::spawn(script).await;
        let relay = relay_to(addr, timeouts, permits);
        let app = spawn_app(relay.clone()).await;
        Self {
            upstream,
            relay,
            app,
            client: client(),
        }
    }

    pub async fn with_script(script: Vec<Step>) -> Self {
        Self::spawn(generous(), 100, script).await
    }

    pub async fn get(&self) -> reqwest::Response {
        self.client.get(self.url("/stream")).send().await.unwrap()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.app)
    }

    pub fn ended(&self, ending: &str) -> u64 {
        self.relay.snapshot().endings[ending]
    }

    /// Nothing is held any more: no permit, no stream, no request without a head.
    pub fn is_idle(&self) -> bool {
        is_idle(&self.relay)
    }

    /// Everything has ended, and as exactly this.
    pub async fn assert_ended_once(&self, ending: &str) {
        assert_ended_once(&self.relay, ending).await;
    }
}

/// Everything has ended, and as exactly this.
pub async fn assert_ended_once(relay: &Relay, ending: &str) {
    eventually("permit, stream and request let go", async || is_idle(relay)).await;
    let endings = relay.snapshot().endings;
    assert_eq!(endings.values().sum::<u64>(), 1, "{endings:?}");
    assert_eq!(endings[ending], 1, "{endings:?}");
}

pub fn relay_to(upstream: SocketAddr, timeouts: Timeouts, permits: usize) -> Relay {
    Relay::new(
        format!("http://{upstream}").parse().unwrap(),
        timeouts,
        permits,
    )
    .unwrap()
}

/// The `code` of the error event that `stream` ends with.
pub fn last_error_code(stream: &str) -> String {
    let event = stream.trim_end_matches('\n').rsplit("\n\n").next().unwrap();
    let json = event
        .strip_prefix("data: ")
        .unwrap_or_else(|| panic!("no event: {event:?}"));
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    assert!(stream.ends_with("\n\n"), "the event is not closed");
    value["error"]["code"].as_str().unwrap().to_owned()
}
