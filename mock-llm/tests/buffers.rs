//! What a small send buffer is for: a client that does not read is noticed after less.

mod support;

use std::time::Duration;

use support::served_with;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;

/// Bytes of padding of a chunk.
const PAD: u64 = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_send_buffer_bounds_what_is_written_to_nobody() {
    let small = written_to_nobody(Some(4_096)).await;
    let default = written_to_nobody(None).await;
    assert!(small < 300_000, "{small} bytes");
    assert!(default > 3 * small, "{default} against {small} bytes");
}

/// How much is written until the buffers are full, to a client with a small one that never reads.
async fn written_to_nobody(send_buffer: Option<u32>) -> u64 {
    let served = served_with(|config| config.send_buffer = send_buffer).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut client = socket.connect(served.address).await.unwrap();
    let request = format!(
        "GET /slow_stream?ttft=0s&interval=0s&chunks=100000&bytes={PAD} HTTP/1.1\r\nHost: mock\r\n\r\n"
    );
    client.write_all(request.as_bytes()).await.unwrap();
    served.until(1, |record| record.chunks > 0).await;
    let written = || served.mock.ledger().open_streams()[0].chunks;
    let mut before = 0;
    while written() != before {
        before = written();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    before * PAD
}
