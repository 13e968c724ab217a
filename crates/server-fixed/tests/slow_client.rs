//! A client that hardly reads costs the server no memory: the upstream is held back, whichever HTTP it
//! is spoken with.

use std::time::Duration;

use crate::SERVER;
use testkit::{Request, Server, Stand, eventually};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// How long the client hardly reads.
const LASTING: Duration = Duration::from_secs(15);

/// Bytes of padding of a chunk, and chunks: 256 MiB in all, as fast as they are taken.
const PAD: u64 = 64 << 10;
const CHUNKS: u64 = 4096;

/// What may be on its way in socket buffers and windows, at most.
const ON_ITS_WAY: u64 = 32 << 20;

/// How much the server's memory may grow.
const GROWTH: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_1_byte_a_second_costs_no_memory() {
    holds(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_1_byte_a_second_costs_no_memory_over_http2() {
    holds(&["--upstream-http2"]).await;
}

async fn holds(flags: &[&str]) {
    let stand = Stand::start(SERVER, flags);
    let resident = || stand.server.process.memory("VmRSS");
    for _ in 0..3 {
        // The same exchange in short: what is allocated once is allocated.
        let mut client = ask(&stand.server).await;
        read_slowly(&mut client, 2, || {}).await;
        drop(client);
        eventually("it is released", async || stand.open() == 0).await;
    }
    let before = resident();
    let mut client = ask(&stand.server).await;
    let (mut most, mut written) = (0, vec![]);
    read_slowly(&mut client, LASTING.as_secs(), || {
        most = most.max(resident());
        let open = stand.mock.ledger().open_streams();
        let stream = open.first().expect("held back, and not done");
        written.push(stream.chunks);
    })
    .await;
    let grown = most.saturating_sub(before);
    let last = *written.last().expect("looked");
    println!("{flags:?}: {before} bytes before, {grown} more at most, {last} chunks written");
    assert!(grown <= GROWTH, "{grown} bytes more than {before}");
    assert!(last * PAD < ON_ITS_WAY, "{last} chunks of {CHUNKS}");
    let settled = written[written.len() / 3];
    assert_eq!(last, settled, "the upstream is held back: {written:?}");

    // It was held back and not given up: whoever reads on gets more than all that was on its way.
    let mut rest = vec![0; 1 << 20];
    for _ in 0..ON_ITS_WAY / (1 << 20) {
        client.read_exact(&mut rest).await.expect("it goes on");
    }
    drop(client);
    eventually("it is released", async || stand.open() == 0).await;
}

async fn ask(server: &Server) -> TcpStream {
    let path = format!("/chat/stream?chunks={CHUNKS}&bytes={PAD}&ttft=0s&interval=0s");
    let mut client = server.send(&Request::get(&path)).await.socket;
    let mut head = [0; 15];
    client.read_exact(&mut head).await.expect("a head");
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    client
}

/// A byte, then a second, and a look at the end of each.
async fn read_slowly(client: &mut TcpStream, seconds: u64, mut look: impl FnMut()) {
    for _ in 0..seconds {
        client.read_exact(&mut [0]).await.expect("a byte");
        tokio::time::sleep(Duration::from_secs(1)).await;
        look();
    }
}
