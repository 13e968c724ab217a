//! The fixed server as a process of its own, as its clients see it. One program for all: it is built
//! once.

mod disconnect;
mod fallback;
#[cfg(unix)]
mod large_body;
mod liveness;
mod route_matrix;
mod slow_client;

use testkit::Server;

const SERVER: &str = env!("CARGO_BIN_EXE_server-fixed");

/// The server on free ports, with these flags.
fn start(flags: &str) -> Server {
    let flags: Vec<&str> = flags.split_whitespace().collect();
    Server::start(SERVER, &flags)
}
