use std::io::ErrorKind;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A client that sees every byte and can leave in any way.
pub struct RawClient {
    stream: TcpStream,
    read: Vec<u8>,
}

/// All that came, and how it ended.
#[derive(Debug)]
pub struct Answer {
    /// Head and body as on the wire.
    pub text: String,
    /// What each read returned.
    pub pieces: Vec<Vec<u8>>,
    /// Whether the connection was reset rather than closed.
    pub reset: bool,
}

impl RawClient {
    /// Connects and asks for `path`.
    pub async fn get(address: SocketAddr, path: &str) -> Self {
        Self::send(
            address,
            &format!("GET {path} HTTP/1.1\r\nHost: mock\r\nConnection: close\r\n\r\n"),
        )
        .await
    }

    /// Connects and posts a JSON body, with one more header.
    pub async fn post(address: SocketAddr, path: &str, header: &str, body: &str) -> Self {
        let length = body.len();
        Self::send(
            address,
            &format!(
                "POST {path} HTTP/1.1\r\nHost: mock\r\nConnection: close\r\n{header}\r\n\
                 Content-Length: {length}\r\n\r\n{body}"
            ),
        )
        .await
    }

    async fn send(address: SocketAddr, request: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        Self {
            stream,
            read: Vec::new(),
        }
    }

    /// Reads until `text` has come.
    pub async fn until(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.read).contains(text) {
            let count = self.read_some().await.unwrap();
            assert!(count > 0, "the end came before {text:?}");
        }
    }

    /// Reads to the end, whichever it is.
    pub async fn rest(mut self) -> Answer {
        let mut pieces = Vec::new();
        let reset = loop {
            let before = self.read.len();
            match self.read_some().await {
                Ok(0) => break false,
                Ok(_) => pieces.push(self.read[before..].to_vec()),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break true,
                Err(error) => panic!("unexpected {error}"),
            }
        };
        Answer {
            text: String::from_utf8_lossy(&self.read).into_owned(),
            pieces,
            reset,
        }
    }

    /// Takes all that has come: what stays unread would turn a close into a reset.
    async fn read_some(&mut self) -> std::io::Result<usize> {
        self.read.reserve(64 * 1024);
        self.stream.read_buf(&mut self.read).await
    }

    /// Leaves with a FIN. What has come must have been read, or the kernel sends a reset.
    pub fn close(self) {}

    /// Leaves with a reset.
    pub fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }
}

impl Answer {
    /// Whether the body was ended as chunked encoding asks for.
    pub fn is_terminated(&self) -> bool {
        self.text.ends_with("\r\n0\r\n\r\n")
    }

    pub fn body(&self) -> &str {
        self.text
            .split_once("\r\n\r\n")
            .map_or("", |(_, body)| body)
    }
}
