//! HTTP/2 towards the upstream: one connection, and each client by itself.

use std::time::Duration;

use futures_util::StreamExt;
use mock_llm::ledger::Cause;
use relay::{Protocol, Relay};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::*;

const H2: Protocol = Protocol::Http2PriorKnowledge;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_resets_its_own_stream_and_no_other() {
    let stand = Stand::start(H2, generous(), 200, |_| {}).await;
    let endless = "/slow_stream?chunks=100000&interval=20ms";
    let mut kept = stand.get(endless).await.bytes_stream();
    let mut left = Vec::new();
    for _ in 0..100 {
        let mut stream = Box::pin(stand.get(endless).await.bytes_stream());
        stream.next().await.unwrap().unwrap();
        left.push(stream);
    }
    assert_eq!((stand.open(), stand.mock.stats().connections), (101, 1));
    drop(left);
    eventually("their streams are reset", async || stand.open() == 1).await;
    for record in stand.mock.ledger().ended_streams(0) {
        assert_eq!(record.cause, Some(Cause::ClientStreamReset));
    }
    for _ in 0..5 {
        kept.next().await.unwrap().expect("it goes on");
    }
    assert_eq!(stand.mock.stats().connections, 1, "it is the same one");
    drop(kept);
    stand.is_released().await;
    assert_eq!(stand.relay.snapshot().endings["client_gone"], 101);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_before_the_head_resets_its_stream() {
    let stand = Stand::start(H2, generous(), 10, |_| {}).await;
    let mut client = TcpStream::connect(stand.app).await.unwrap();
    let request = b"GET /slow_stream?fault=slow-headers=1h HTTP/1.1\r\nhost: a\r\n\r\n";
    client.write_all(request).await.unwrap();
    eventually("the upstream has it", async || stand.open() == 1).await;
    drop(client);
    stand.is_released().await;
    assert_eq!(stand.last_ended().cause, Some(Cause::ClientStreamReset));
    assert_eq!(stand.relay.snapshot().endings["client_gone"], 1);
    assert_eq!(stand.mock.stats().connections, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_do_not_read_hold_up_their_own_streams_only() {
    let stand = Stand::start(H2, generous(), 200, |_| {}).await;
    let flood =
        b"GET /slow_stream?chunks=1000000&interval=0s&bytes=16384 HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut unread = Vec::new();
    for _ in 0..100 {
        let mut client = TcpStream::connect(stand.app).await.unwrap();
        client.write_all(flood).await.unwrap();
        unread.push(client);
    }
    let ledger = stand.mock.ledger();
    let written = || ledger.open_streams().iter().map(|r| r.chunks).sum::<u64>();
    eventually("all have begun", async || {
        let open = ledger.open_streams();
        open.len() == 100 && open.iter().all(|record| record.chunks > 0)
    })
    .await;
    let mut before = 0;
    while written() != before {
        before = written();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    // Socket buffers on the clients' side, and a window for each stream.
    assert!(before < 100 * 1_000, "{before} chunks of 16 KiB");
    let text = stand.get("/slow_stream?chunks=50").await.text().await;
    let text = text.unwrap();
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    let large = "/slow_stream?chunks=200&interval=0s&bytes=16384";
    let bytes = stand.get(large).await.bytes().await.unwrap();
    assert!(bytes.len() > 3_000_000, "more than one window passes");
    drop(unread);
    stand.is_released().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_the_upstreams_streams_one_waits_visibly_and_not_for_ever() {
    let timeouts = generous().with_idle(Duration::from_secs(4));
    let stand = Stand::start(H2, timeouts, 10, |config| {
        config.max_http2_streams = Some(3);
    })
    .await;
    let flowing = "/slow_stream?chunks=100000&interval=20ms";
    let mut first = Vec::new();
    for _ in 0..3 {
        let mut stream = Box::pin(stand.get(flowing).await.bytes_stream());
        stream.next().await.unwrap().unwrap();
        first.push(stream);
    }
    let fourth = stand.get("/slow_stream");
    let fifth = async {
        eventually("one waits for a stream", async || {
            stand.relay.snapshot().awaiting_head == 1
        })
        .await;
        // In line behind the fourth; a place comes free for one.
        let waiting = stand.get(flowing);
        let freeing = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let now = stand.relay.snapshot();
            assert_eq!((now.awaiting_head, now.permits_in_use), (2, 5));
            assert_eq!(stand.mock.ledger().tally().started, 3, "not sent");
            first.pop();
        };
        tokio::join!(waiting, freeing).0
    };
    let (fourth, fifth) = tokio::join!(fourth, fifth);
    assert_eq!(fourth.status(), 200);
    assert_eq!(fifth.status(), 200, "the fourth was short");
    let sixth = stand.get(flowing).await;
    assert_eq!(sixth.status(), 504, "nobody left");
    let text = sixth.text().await.unwrap();
    assert!(text.contains("upstream_head_timeout"), "{text}");
    assert_eq!(stand.mock.stats().connections, 1, "there is no second one");
    drop((first, fifth));
    stand.is_released().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_of_one_connection_do_not_reach_the_other() {
    let stand = Stand::start(H2, generous(), 10, |_| {}).await;
    let mut client = TcpStream::connect(stand.app).await.unwrap();
    // Any of these makes a request of HTTP/2 malformed, RFC 9113, section 8.2.2.
    let request = b"GET /slow_stream?chunks=2 HTTP/1.1\r\nhost: a\r\n\
        connection: close, x-private, upgrade\r\nkeep-alive: timeout=5\r\n\
        proxy-connection: keep-alive\r\nte: trailers, gzip\r\nupgrade: h2c\r\n\
        http2-settings: AAMAAABkAAQAAP__\r\ntrailer: x\r\nx-private: 1\r\n\
        x-mock-secret: 1\r\n\r\n";
    client.write_all(request).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    // The mock refuses what it does not know of its own headers: those that pass are seen.
    assert!(answer.contains("x-mock-secret: unknown"), "{answer}");

    let request = String::from_utf8_lossy(request).replace("x-mock-secret: 1\r\n", "");
    let mut client = TcpStream::connect(stand.app).await.unwrap();
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("data: [DONE]"), "{answer}");
    let request = request.replace("x-private, ", "");
    let request = request.replace(
        "x-private: 1",
        "connection: x-mock-chunks\r\nx-mock-chunks: 0",
    );
    let mut client = TcpStream::connect(stand.app).await.unwrap();
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "named: {answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_upstream_says_of_its_connection_stays_there() {
    let headers = "connection: keep-alive, x-hop\r\nkeep-alive: timeout=9\r\nx-hop: 1\r\n\
        proxy-authenticate: Basic\r\nupgrade: h2c\r\ntrailer: x-sum\r\nx-end: 1\r\n";
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{headers}\r\nok");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut peer, _) = listener.accept().await.unwrap();
        let _ = peer.read(&mut [0; 4096]).await.unwrap();
        peer.write_all(answer.as_bytes()).await.unwrap();
        std::future::pending::<()>().await;
    });
    let relay = Relay::new(upstream.parse().unwrap(), generous(), 1).unwrap();
    let response = relay.build(http::Method::GET, "/").forward().await;
    let names: Vec<_> = response
        .headers()
        .keys()
        .map(http::HeaderName::as_str)
        .collect();
    assert_eq!(names, ["content-length", "x-end"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_is_spoken_only_where_it_is_meant() {
    let stand = Stand::start(Protocol::Negotiated, generous(), 10, |_| {}).await;
    let streams = (0..5).map(|_| async {
        let text = stand.get("/slow_stream?chunks=20").await.text().await;
        assert!(text.unwrap().contains("[DONE]"));
    });
    let all = futures_util::future::join_all(streams);
    let peak = async {
        eventually("a connection each", async || {
            stand.mock.stats().connections == 5
        })
        .await;
    };
    tokio::join!(all, peak);

    // An upstream that does not know it: the preface is no request.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut peer, _) = listener.accept().await.unwrap();
            let _ = peer.read(&mut [0; 4096]).await;
            let _ = peer
                .write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
                .await;
        }
    });
    let relay = Relay::new(upstream.parse().unwrap(), generous(), 1).unwrap();
    let relay = relay.with_protocol(H2).unwrap();
    let response = relay.build(http::Method::GET, "/").forward().await;
    assert_eq!(response.status(), 502);
    assert_eq!(relay.snapshot().permits_in_use, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_to_head_has_its_length_and_no_body() {
    let stand = Stand::start(H2, generous(), 10, |_| {}).await;
    let url = format!("http://{}/v1/models", stand.app);
    let response = stand.client.head(url).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.headers().contains_key("content-length"));
    stand.is_released().await;
    assert_eq!(stand.relay.snapshot().endings["complete"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn protocols_share_permits_and_counters() {
    let stand = Stand::start(Protocol::Http1, generous(), 1, |_| {}).await;
    let other = stand.relay.clone().with_protocol(H2).unwrap();
    let permit = stand.relay.permit().unwrap();
    let refused = other
        .build(http::Method::GET, "/slow_stream")
        .forward()
        .await;
    assert_eq!(refused.status(), 503);
    drop(permit);
    let served = other
        .build(http::Method::GET, "/slow_stream")
        .forward()
        .await;
    axum::body::to_bytes(served.into_body(), 1 << 20)
        .await
        .unwrap();
    let snapshot = stand.relay.snapshot();
    assert_eq!((snapshot.refused, snapshot.endings["complete"]), (1, 1));
}
