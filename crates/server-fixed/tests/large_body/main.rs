//! Large bodies at the fixed server, over real sockets.
#![cfg(unix)]

mod fairness;
mod limits;
mod process;
mod support;
mod taking;

use support::Server;

fn start(flags: &[&str]) -> Server {
    Server::start(env!("CARGO_BIN_EXE_server-fixed"), flags)
}
