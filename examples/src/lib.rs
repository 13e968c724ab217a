//! One small axum app three times, in `src/bin/`. `plain` relays a streaming upstream with a blocking
//! client, and so has the disease. `detected` shows it, by four lines of `vitals`. `cured` has one call of
//! `relay` in place of the blocking client. The `diff` of two of them is the lesson. The parts that all
//! share and that teach nothing are in this file.
//!
//! ```sh
//! cargo run --release -p mock-llm &                # the upstream
//! cargo run --release -p examples --bin detected   # LISTEN and UPSTREAM are environment variables
//! ```

use std::io;
use std::net::TcpListener;

/// Threads of each app's blocking pool. Four, so that a handful of streams fills it. Tokio's default is
/// 512.
pub const THREADS: usize = 4;

/// Where to listen: `LISTEN`, or port 8000 of loopback.
pub fn listen() -> String {
    std::env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:8000".to_owned())
}

/// Where gauges are served: `GAUGES`, or any free port of loopback.
///
/// # Errors
/// If it cannot listen there.
pub fn gauges() -> io::Result<TcpListener> {
    TcpListener::bind(std::env::var("GAUGES").unwrap_or_else(|_| "127.0.0.1:0".to_owned()))
}

/// The LLM service: `UPSTREAM`, or port 9000 of loopback.
pub fn upstream() -> String {
    std::env::var("UPSTREAM").unwrap_or_else(|_| "http://127.0.0.1:9000".to_owned())
}

/// Compiles the Rust of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../../docs/own-service.md")]
pub struct OwnService;
