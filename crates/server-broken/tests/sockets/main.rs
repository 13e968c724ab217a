//! The broken server as its clients see it: each failure is there, and seen on the watchdog's port.

mod liveness;
mod route_matrix;
mod support;

const SERVER: &str = env!("CARGO_BIN_EXE_server-broken");
