use std::net::SocketAddr;
use std::time::Duration;

use mock_llm::Mock;
use mock_llm::config::Config;
use mock_llm::socket::Listener;
use service::Drain;

use crate::wait::PATIENCE;

/// A mock upstream on a free port, served by the runtime of the test.
pub fn upstream(config: Config) -> (Mock, SocketAddr) {
    let loopback = "127.0.0.1:0".parse().expect("an address");
    let listener = Listener::bind(loopback, "--listen", config.send_buffer).expect("a free port");
    let listener = listener.with_write_timeout(config.write_timeout);
    let address = listener.address().expect("bound");
    let mock = Mock::new(config, &listener);
    let serving = mock.clone();
    tokio::spawn(async move { serving.serve(listener, Drain::new(Duration::ZERO)).await });
    (mock, address)
}

/// Quick tokens: the first after 5 ms, then one every 5 ms, 5 in all.
pub fn quick() -> Config {
    Config {
        ttft: "5ms".parse().expect("a time"),
        interval: "5ms".parse().expect("a time"),
        chunks: 5,
        ..Config::default()
    }
}

/// An HTTP client that gives up on a stream that never ends, so that a test fails rather than hangs. It
/// uses no connection twice.
pub fn client() -> reqwest::Client {
    // Only the first caller of a process can install it, and any will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .timeout(PATIENCE * 3 / 2);
    builder.build().expect("a client")
}
