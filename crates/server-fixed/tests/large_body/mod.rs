//! Large bodies at the fixed server, over real sockets.

mod fairness;
mod limits;
mod process;
mod support;
mod taking;

use support::Server;

fn start(flags: &[&str]) -> Server {
    Server::start(crate::SERVER, flags)
}
