use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;

use crate::http::{Client, Request, ask};
use crate::process::{Process, program};
use crate::server::Server;
use crate::wait::eventually;

/// A mock upstream in a process of its own, and where it listens.
pub fn mock_llm() -> (Process, SocketAddr) {
    let mut command = Command::new(program("mock-llm"));
    command.args(["--listen", "127.0.0.1:0"]);
    let mut process = Process::start(command);
    let address = process.announced("listening");
    (process, address)
}

/// A mock upstream and a server in front of it, each a process of its own.
pub struct Stage {
    /// The server.
    pub server: Server,
    /// Where the upstream listens.
    pub upstream: SocketAddr,
    /// The process of the upstream.
    pub upstream_process: Process,
}

impl Stage {
    /// Starts `server-broken` or `server-fixed` with further flags.
    pub fn start(server: &str, flags: &[&str]) -> Self {
        let (upstream_process, upstream) = mock_llm();
        let url = format!("http://{upstream}");
        let flags = [&["--upstream", &url], flags].concat();
        Self {
            server: Server::start(program(server), &flags),
            upstream,
            upstream_process,
        }
    }

    /// The URL of a route of the server.
    pub fn url(&self, path: &str) -> String {
        self.server.url(path)
    }

    /// The URL of a route of the upstream.
    pub fn upstream_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.upstream)
    }

    /// What the upstream answers to a path, as JSON.
    pub async fn upstream_json(&self, path: &str) -> Value {
        ask(self.upstream, Request::get(path)).await.json()
    }

    /// The counts of the upstream's ledger.
    pub async fn stats(&self) -> Value {
        self.upstream_json("/stats").await
    }

    /// Holds the four threads of a broken server by streams, as long as they are kept.
    pub async fn hold_the_pool(&self) -> Vec<Client> {
        let mut streams = Vec::new();
        for _ in 0..4 {
            let path = "/chat/stream?ttft=1ms&interval=100ms&chunks=3000";
            let mut stream = self.server.send(&Request::get(path)).await;
            stream.until("\r\n\r\n").await;
            streams.push(stream);
        }
        eventually("every thread is held", async || {
            self.server.gauge("pool").await["busy"] == 4
        })
        .await;
        streams
    }
}
