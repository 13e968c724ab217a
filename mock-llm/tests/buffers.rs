//! Clients that do not read: how much is written to them, and for how long.

use crate::support;

use std::time::Duration;

use mock_llm::ledger::{Cause, StreamRecord};
use support::{Served, eventually, served_with};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

/// Bytes of padding of a chunk.
const PAD: u64 = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_send_buffer_bounds_what_is_written_to_nobody() {
    let served = served_with(|config| config.send_buffer = Some(4_096)).await;
    let small = written_to_nobody(&served).await;
    assert!(small < 300_000, "{small} bytes");
    let served = served_with(|config| config.send_buffer = None).await;
    let _client = client_that_never_reads(&served).await;
    let much_more = |record: &StreamRecord| record.chunks * PAD > 3 * small;
    served.until(1, much_more).await;
}

/// How much is written until the buffers are full, to a client with a small one that never reads.
async fn written_to_nobody(served: &Served) -> u64 {
    let _client = client_that_never_reads(served).await;
    served.until(1, |record| record.chunks > 0).await;
    let mut written = 0;
    // One look is not enough: a machine that stands still writes nothing either.
    let mut looks_alike = 0;
    while looks_alike < 10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = served.mock.ledger().open_streams()[0].chunks;
        looks_alike = if now == written { looks_alike + 1 } else { 0 };
        written = now;
    }
    written * PAD
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_nothing_is_left_when_the_write_timeout_is_over() {
    let served = served_with(|config| {
        config.send_buffer = Some(4_096);
        config.write_timeout = Some(Duration::from_millis(300));
    })
    .await;
    let slow_reader = served.get("/slow_stream?fault=stall@1").await;
    let client = client_that_never_reads(&served).await;
    let ended = || served.mock.ledger().ended_streams(0).pop();
    eventually("it is left", async || ended().is_some()).await;
    let record = ended().unwrap();
    assert_eq!(record.cause, Some(Cause::WriteTimeout));
    let lasted_us = record.ended_us.unwrap() - record.started_us;
    assert!(lasted_us >= 300_000, "{record:?}");
    drop(client);
    // Silence is the mock's own doing, and nobody's who would have read.
    assert_eq!(served.stats().await.tally.open, 1);
    drop(slow_reader);
    served.ended().await;
}

async fn client_that_never_reads(served: &Served) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut client = socket.connect(served.address).await.unwrap();
    let request = format!(
        "GET /slow_stream?ttft=0s&interval=0s&chunks=100000&bytes={PAD} HTTP/1.1\r\n\
         Host: mock\r\n\r\n"
    );
    client.write_all(request.as_bytes()).await.unwrap();
    client
}
