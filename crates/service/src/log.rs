use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Sends `tracing` events to standard error, `info` and above unless `RUST_LOG` says otherwise.
///
/// Calling it twice is harmless: the first call wins.
pub fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .try_init();
}
