use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tokio::task::JoinHandle;

use crate::http::{Answer, Client, Request, ask};
use crate::process::Process;
use crate::wait::eventually;

/// `server-broken` or `server-fixed` on free ports.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its process.
    pub process: Process,
    gauges: SocketAddr,
}

impl Server {
    /// Starts the program with these flags and waits until it listens.
    pub fn start(program: impl AsRef<Path>, flags: &[impl AsRef<OsStr>]) -> Self {
        let mut command = Command::new(program.as_ref());
        command
            .args(["--listen", "127.0.0.1:0", "--gauges", "127.0.0.1:0"])
            .args(flags)
            .env("RUST_LOG", "error");
        let mut process = Process::start(command);
        Self {
            gauges: process.announced("gauges"),
            address: process.announced("listening"),
            process,
        }
    }

    /// The URL of one of its routes.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A connection to it.
    pub async fn connect(&self) -> Client {
        Client::connect(self.address).await
    }

    /// Sends a request on a connection of its own.
    pub async fn send(&self, request: &Request) -> Client {
        Client::send_to(self.address, request).await
    }

    /// What a path answers.
    pub async fn get(&self, path: &str) -> Answer {
        ask(self.address, Request::get(path)).await
    }

    /// What a path answers to a body.
    pub async fn post(&self, path: &str, body: &[u8]) -> Answer {
        ask(self.address, Request::post(path, body)).await
    }

    /// The same request `count` times at once, each from a client of its own; aborting one hangs up.
    pub fn clients(&self, count: usize, request: &Request) -> Vec<JoinHandle<Answer>> {
        let client = |_| tokio::spawn(ask(self.address, request.clone()));
        (0..count).map(client).collect()
    }

    /// Its gauges, on the port of the watchdog, which answers whatever else does not.
    pub async fn gauges(&self) -> Value {
        ask(self.gauges, Request::get("/gauges")).await.json()
    }

    /// One of its gauges.
    pub async fn gauge(&self, name: &str) -> Value {
        self.gauges().await[name].take()
    }

    /// Waits until a gauge is so, and returns it.
    pub async fn until(&self, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let mut gauge = Value::Null;
        eventually(&format!("the gauge {name} is so"), async || {
            gauge = self.gauge(name).await;
            is_so(&gauge)
        })
        .await;
        gauge
    }
}

/// What all of these clients were answered.
pub async fn all(clients: Vec<JoinHandle<Answer>>) -> Vec<Answer> {
    let mut answers = Vec::new();
    for client in clients {
        answers.push(client.await.expect("no panic"));
    }
    answers
}
