//! Several single-threaded runtimes are one server.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::start;
use super::support::*;

const FLAGS: [&str; 4] = ["--runtime", "single-threaded", "--worker-threads", "3"];

#[tokio::test(flavor = "multi_thread")]
async fn single_threaded_runtimes_count_as_one_server() {
    let server = start(&FLAGS);
    assert_eq!(server.gauge("workers").await, 3);
    let mut clients = Vec::new();
    for _ in 0..12 {
        let mut client = server.connect().await;
        assert_eq!(client.post("/ping", SMALL).await.status, 200);
        clients.push(client);
    }
    assert_eq!(server.gauge("connections").await, 12);
    drop(clients);
    let started = Instant::now();
    while server.gauge("connections").await != 0 {
        assert!(started.elapsed() < SOON);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn single_threaded_runtimes_drain_together() {
    let mut server = start(&FLAGS);
    let mut clients = Vec::new();
    for _ in 0..6 {
        let mut client = server.connect().await;
        // Small ones: of large ones, some would wait for a seat that another holds.
        let body = body(1 << 15);
        client.announce("/ping", body.len()).await;
        client.send(&body[..1000]).await;
        clients.push((client, body));
    }
    while server.gauge("connections").await != 6 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let pid = i32::try_from(server.process.id()).expect("a pid");
    kill_process(Pid::from_raw(pid).expect("a pid"), Signal::TERM).expect("sent");
    let started = Instant::now();
    while tokio::net::TcpStream::connect(server.address).await.is_ok() {
        assert!(started.elapsed() < SOON, "new connections are refused");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for (mut client, body) in clients {
        client.send(&body[1000..]).await;
        assert_eq!(client.answer().await.status, 200, "what was begun is ended");
    }
    let started = Instant::now();
    loop {
        if let Some(status) = server.process.try_wait().expect("known") {
            assert!(status.success(), "{status}");
            return;
        }
        assert!(started.elapsed() < SOON, "and then it ends");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
