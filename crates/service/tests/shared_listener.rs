//! Several single-threaded runtimes accept from one listener.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use service::{Drain, Listener};
use testkit::{Client, Request};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

const RUNTIMES: usize = 3;

/// Connections that come before anyone accepts.
const BURST: usize = 120;

/// How long `/block` holds its thread.
const BLOCKED_FOR: Duration = Duration::from_secs(2);

const DRAIN: Duration = Duration::from_secs(10);

/// A server on three runtimes; `/thread` tells which one answers.
struct Server {
    address: SocketAddr,
    drain: Drain,
    app: Router,
    waiting: Vec<(Runtime, Listener)>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Server {
    fn start() -> Self {
        let mut server = Self::bind();
        while server.start_one() {}
        server
    }

    /// Listens, and nobody accepts yet.
    fn bind() -> Self {
        let runtimes: Vec<Runtime> = (0..RUNTIMES)
            .map(|_| Builder::new_current_thread().enable_all().build().unwrap())
            .collect();
        let handles: Vec<_> = runtimes.iter().map(|one| one.handle().clone()).collect();
        let listener = {
            let _inside = handles[0].enter();
            Listener::bind("127.0.0.1:0".parse().unwrap(), "--listen").unwrap()
        };
        let address = listener.address().unwrap();
        let drain = Drain::new(DRAIN);
        let app = Router::new()
            .route(
                "/thread",
                get(async || format!("{:?}", thread::current().id())),
            )
            .route("/block", get(block));
        let listeners = listener.share(&handles).unwrap();
        Self {
            address,
            drain,
            app,
            waiting: runtimes.into_iter().zip(listeners).collect(),
            threads: Vec::new(),
        }
    }

    /// Lets one more runtime serve, if one is left.
    fn start_one(&mut self) -> bool {
        let Some((runtime, listener)) = self.waiting.pop() else {
            return false;
        };
        let served = service::serve(listener, self.app.clone(), self.drain.clone());
        let thread = thread::spawn(move || runtime.block_on(served).unwrap());
        self.threads.push(thread);
        true
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "blocks one of the runtimes, to be seen doing so"
)]
async fn block() {
    thread::sleep(BLOCKED_FOR);
}

/// What a connection that is kept is answered.
async fn get_on(client: &mut Client, path: &str) -> String {
    client.send(&Request::get(path)).await;
    client.answer().await.body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_connections_is_spread_over_the_runtimes() {
    let mut server = Server::bind();
    let mut clients = Vec::new();
    for _ in 0..BURST {
        clients.push(Client::connect(server.address).await);
    }
    // One is awake before the others, for longer than it would need to take all of them.
    server.start_one();
    tokio::time::sleep(Duration::from_millis(20)).await;
    while server.start_one() {}
    let mut served = BTreeMap::<String, usize>::new();
    for client in &mut clients {
        *served.entry(get_on(client, "/thread").await).or_default() += 1;
    }
    assert_eq!(served.len(), RUNTIMES, "all of them serve: {served:?}");
    assert!(
        served.values().all(|&count| count >= BURST / 10),
        "{served:?}"
    );
    let first = get_on(&mut clients[0], "/thread").await;
    for _ in 0..5 {
        assert_eq!(
            get_on(&mut clients[0], "/thread").await,
            first,
            "it stays where it is"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_is_blocked_gets_no_new_connection() {
    let server = Server::start();
    let mut client = Client::connect(server.address).await;
    let (sent, is_sent) = oneshot::channel();
    let blocking = tokio::spawn(async move {
        let _ = sent.send(());
        get_on(&mut client, "/block").await
    });
    is_sent.await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let started = Instant::now();
    for _ in 0..20 {
        let mut client = Client::connect(server.address).await;
        get_on(&mut client, "/thread").await;
    }
    assert!(!blocking.is_finished(), "or nothing was blocked");
    assert!(
        started.elapsed() < BLOCKED_FOR / 2,
        "{:?}",
        started.elapsed()
    );
    blocking.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_them_drain_together() {
    let server = Server::start();
    let mut idle = Client::connect(server.address).await;
    get_on(&mut idle, "/thread").await;
    let begun = Instant::now();
    server.drain.begin();
    tokio::task::spawn_blocking(|| {
        for thread in server.threads {
            thread.join().unwrap();
        }
    })
    .await
    .unwrap();
    assert!(begun.elapsed() < DRAIN / 2, "nobody is left to wait for");
    assert!(
        TcpStream::connect(server.address).await.is_err(),
        "nobody listens"
    );
}
