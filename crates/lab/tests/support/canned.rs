//! A server whose answers are written by hand, byte by byte.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What is written, after so many milliseconds each.
pub type Script = Vec<(u64, Vec<u8>)>;

/// The path of a request and how many there were of it before: what is answered.
type Answer = dyn Fn(&str, usize) -> Script + Send + Sync;

/// Listens until the runtime ends. `/health` is answered with 200; each connection is closed after its
/// answer.
pub struct Canned {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Canned {
    pub async fn start(answer: impl Fn(&str, usize) -> Script + Send + Sync + 'static) -> Self {
        Self::listen(Arc::new(answer), None).await
    }

    /// The same behind TLS.
    pub async fn start_tls(
        tls: TlsAcceptor,
        answer: impl Fn(&str, usize) -> Script + Send + Sync + 'static,
    ) -> Self {
        Self::listen(Arc::new(answer), Some(tls)).await
    }

    async fn listen(answer: Arc<Answer>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let requests = Arc::default();
        let kept = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (answer, kept, tls) = (Arc::clone(&answer), Arc::clone(&kept), tls.clone());
                tokio::spawn(async move {
                    let _ = match tls {
                        None => converse(socket, &*answer, &kept).await,
                        Some(tls) => match tls.accept(socket).await {
                            Ok(socket) => converse(socket, &*answer, &kept).await,
                            Err(error) => Err(error),
                        },
                    };
                });
            }
        });
        Self { address, requests }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests whose first line begins so.
    pub fn requests(&self, begins: &str) -> Vec<String> {
        let all = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.iter().filter(|request| request.starts_with(begins));
        found.cloned().collect()
    }
}

async fn converse(
    mut socket: impl AsyncRead + AsyncWrite + Unpin,
    answer: &Answer,
    kept: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !is_whole(&request) {
        if socket.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request
        .split([' ', '?'])
        .nth(1)
        .unwrap_or_default()
        .to_owned();
    let before = {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |one: &&String| one.split([' ', '?']).nth(1) == Some(&path);
        let before = kept.iter().filter(is_same).count();
        kept.push(request);
        before
    };
    let script = match path.as_str() {
        "/health" => text("200 OK\r\nServer: canned/1", "ok"),
        path => answer(path, before),
    };
    for (after, bytes) in script {
        tokio::time::sleep(Duration::from_millis(after)).await;
        socket.write_all(&bytes).await?;
        socket.flush().await?;
    }
    socket.shutdown().await
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.split_once("content-length: ");
    let length = length.and_then(|(_, rest)| rest.split("\r\n").next()?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

/// An answer of this status line, with further headers, and this body.
pub fn text(head: &str, body: &str) -> Script {
    vec![(
        0,
        format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n{body}").into_bytes(),
    )]
}

/// The same of an event stream, with these pieces so far apart in milliseconds.
pub fn events<'a>(apart: u64, pieces: impl IntoIterator<Item = &'a str>) -> Script {
    let mut script = text("200 OK\r\nContent-Type: text/event-stream", "");
    script.extend(
        pieces
            .into_iter()
            .map(|piece| (apart, piece.as_bytes().to_vec())),
    );
    script
}
