//! The fixed server as a process of its own, as its clients see it. One program for all: it is built
//! once.

mod disconnect;
mod fallback;
#[cfg(unix)]
mod large_body;
mod liveness;
mod route_matrix;
mod slow_client;
mod support;

const SERVER: &str = env!("CARGO_BIN_EXE_server-fixed");
