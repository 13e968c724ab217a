//! The HTTP client of probe, load and sampler.

/// A client as every part of the lab wants it: a fresh connection for each request unless
/// `keep_alive`, no proxy from the environment, no redirect and no retry, all of which would change
/// what is measured. Making one costs milliseconds, mostly for the system's TLS roots.
///
/// # Errors
/// If it cannot be made.
pub fn client(keep_alive: bool) -> reqwest::Result<reqwest::Client> {
    // An error means that the process has a provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(if keep_alive { usize::MAX } else { 0 })
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .tcp_nodelay(true)
        .build()
}
