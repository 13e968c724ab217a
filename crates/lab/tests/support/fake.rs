//! A small service: health, streams, and what needs a token.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The token that its JSON lines and its private routes ask for.
pub const TOKEN: &str = "sesame-4711";

/// Listens until the runtime ends.
pub struct Fake {
    address: SocketAddr,
    open: Arc<AtomicUsize>,
}

impl Fake {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let open = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&open);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let open = Arc::clone(&counted);
                tokio::spawn(async move {
                    let _ = answer(socket, &open).await;
                });
            }
        });
        Self { address, open }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Streams that it has open.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

async fn answer(mut socket: TcpStream, open: &AtomicUsize) -> std::io::Result<()> {
    let mut request = vec![0; 4096];
    let length = socket.read(&mut request).await?;
    let request = String::from_utf8_lossy(&request[..length]).into_owned();
    let path = request.split([' ', '?']).nth(1).unwrap_or_default();
    let is_known = request.contains(&format!("Bearer {TOKEN}"));
    let (status, text) = match path {
        "/lines" | "/private/health" | "/private/stats" if !is_known => {
            ("401 Unauthorized", String::new())
        }
        "/lines" => return stream(&mut socket, open, "application/x-ndjson", "{\"n\": 1}\n").await,
        "/events" => {
            let event = "event: token\ndata: {\"text\": \"a\"}\n\n";
            return stream(&mut socket, open, "text/event-stream", event).await;
        }
        "/health" | "/private/health" => ("200 OK", "ok".to_owned()),
        "/stats" | "/private/stats" => {
            let open = open.load(Ordering::SeqCst);
            (
                "200 OK",
                format!("{{\"name\": \"fake\", \"open\": {open}}}"),
            )
        }
        "/moved" => (
            "307 Temporary Redirect\r\nLocation: /x?token=s3cr3t-XYZ",
            String::new(),
        ),
        _ => ("404 Not Found", String::new()),
    };
    let length = text.len();
    let head =
        format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    socket.write_all((head + &text).as_bytes()).await
}

/// The same piece ten times a second, chunked, for ever.
async fn stream(
    socket: &mut TcpStream,
    open: &AtomicUsize,
    content_type: &str,
    piece: &str,
) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: {content_type}\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
    open.fetch_add(1, Ordering::SeqCst);
    let result = async {
        socket.write_all(head.as_bytes()).await?;
        loop {
            socket.write_all(chunk.as_bytes()).await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let result = result.await;
    open.fetch_sub(1, Ordering::SeqCst);
    result
}
