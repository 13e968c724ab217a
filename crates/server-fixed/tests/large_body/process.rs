//! Several single-threaded runtimes are one server.

use testkit::Request;
use testkit::bodies::{SMALL, announce, body};
use testkit::eventually;

use crate::start;

const FLAGS: &str = "--runtime single-threaded --worker-threads 3";

#[tokio::test(flavor = "multi_thread")]
async fn single_threaded_runtimes_count_as_one_server() {
    let server = start(FLAGS);
    assert_eq!(server.gauge("workers").await, 3);
    let mut clients = Vec::new();
    for _ in 0..12 {
        let mut client = server.connect().await;
        client.send(&Request::post("/ping", SMALL)).await;
        assert_eq!(client.answer().await.status, 200);
        clients.push(client);
    }
    assert_eq!(server.gauge("connections").await, 12);
    drop(clients);
    server.until("connections", |it| *it == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn single_threaded_runtimes_drain_together() {
    let mut server = start(FLAGS);
    let mut clients = Vec::new();
    for _ in 0..6 {
        let mut client = server.connect().await;
        // Small ones: of large ones, some would wait for a seat that another holds.
        let body = body(1 << 15);
        client.send(&announce("/ping", body.len())).await;
        client.write(&body[..1000]).await;
        clients.push((client, body));
    }
    server.until("connections", |it| *it == 6).await;
    server.process.terminate();
    eventually("new connections are refused", async || {
        tokio::net::TcpStream::connect(server.address)
            .await
            .is_err()
    })
    .await;
    for (mut client, body) in clients {
        client.write(&body[1000..]).await;
        assert_eq!(client.answer().await.status, 200, "what was begun is ended");
    }
    let status = server.process.ended().await;
    assert!(status.success(), "{status}");
}
