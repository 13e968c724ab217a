//! A service of ten lines: health, and a stream of JSON lines that needs a token.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The token that its stream asks for.
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
    let head = |status: &str| format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
    if request.starts_with("GET /health") {
        let text = format!("{}Content-Length: 2\r\n\r\nok", head("200 OK"));
        return socket.write_all(text.as_bytes()).await;
    }
    let authorized = request.contains(&format!("Bearer {TOKEN}"));
    if !request.starts_with("GET /lines") || !authorized {
        let status = if request.starts_with("GET /lines") {
            "401 Unauthorized"
        } else {
            "404 Not Found"
        };
        let text = format!("{}Content-Length: 0\r\n\r\n", head(status));
        return socket.write_all(text.as_bytes()).await;
    }
    open.fetch_add(1, Ordering::SeqCst);
    let result = lines(&mut socket, &head("200 OK")).await;
    open.fetch_sub(1, Ordering::SeqCst);
    result
}

/// JSON lines, ten a second, chunked, for ever.
async fn lines(socket: &mut TcpStream, head: &str) -> std::io::Result<()> {
    let head =
        format!("{head}Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n");
    socket.write_all(head.as_bytes()).await?;
    loop {
        socket.write_all(b"9\r\n{\"n\": 1}\n\r\n").await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
