//! The broken server as a process of its own, as its clients see it: each failure is there. One program
//! for all: it is built once.

mod disconnect;
#[cfg(unix)]
mod large_body;
mod liveness;
mod rollout;
mod route_matrix;
mod stage;
mod stream_capped;
mod stream_dns;
mod stream_variants;

use testkit::Server;

const SERVER: &str = env!("CARGO_BIN_EXE_server-broken");

/// The server on free ports, with these flags.
fn start(flags: &str) -> Server {
    let flags: Vec<&str> = flags.split_whitespace().collect();
    Server::start(SERVER, &flags)
}
