//! The fixed server as its clients see it: who is served, who is refused, and that nobody else waits.

mod liveness;
mod route_matrix;
#[path = "../../../server-broken/tests/sockets/support.rs"]
mod support;

const SERVER: &str = env!("CARGO_BIN_EXE_server-fixed");
