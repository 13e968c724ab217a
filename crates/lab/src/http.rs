//! The HTTP client of probe, load and sampler.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use rustls::crypto::ring::default_provider;

use crate::exit::Usage;
use crate::tls;
use verdict::scenario::Target;

/// Printed once where `--insecure` is given.
pub const INSECURE: &str = "Warning: any certificate is accepted, so whoever is on the way can read \
                            what is sent, tokens too.\n";

/// A client as every part of the lab wants it: a fresh connection for each request unless
/// `keep_alive`, no proxy from the environment, no redirect and no retry, all of which would change
/// what is measured. It speaks HTTP and HTTPS. Making one costs milliseconds, mostly for the system's
/// TLS roots.
///
/// # Errors
/// If it cannot be made.
pub fn client(keep_alive: bool) -> reqwest::Result<reqwest::Client> {
    builder(keep_alive).build()
}

/// What is known of the services that are asked, beside their URLs.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// Addresses of names, as they were looked up and found allowed: no other is asked, whatever a
    /// name stands for later.
    pub addresses: Vec<(String, Vec<SocketAddr>)>,
    /// PEM file of a certificate that is trusted beside those of the system.
    pub ca_certificate: Option<PathBuf>,
    /// Whether any certificate will do.
    pub insecure: bool,
    /// Whether they speak HTTP/2 also without TLS.
    pub http2: bool,
}

impl Reach {
    /// As this target is to be reached.
    #[must_use]
    pub fn of(&self, target: &Target) -> Self {
        Self {
            addresses: self.addresses.clone(),
            ca_certificate: target.ca_certificate.clone(),
            insecure: target.insecure,
            http2: target.http2,
        }
    }

    /// As [`client`], for these services.
    ///
    /// # Errors
    /// If the certificate cannot be read, or the client cannot be made.
    pub fn client(&self, keep_alive: bool) -> anyhow::Result<reqwest::Client> {
        let mut builder = builder(keep_alive);
        for (name, addresses) in &self.addresses {
            builder = builder.resolve_to_addrs(name, addresses);
        }
        if self.http2 {
            builder = builder.http2_prior_knowledge();
        }
        if self.insecure {
            builder = builder.tls_danger_accept_invalid_certs(true);
        } else if let Some(path) = &self.ca_certificate {
            let mut trusting = tls::trusting(path, Arc::new(default_provider()))?;
            let protocols: &[&[u8]] = if self.http2 {
                &[b"h2"]
            } else {
                &[b"h2", b"http/1.1"]
            };
            trusting.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
            builder = builder.tls_backend_preconfigured(trusting);
        }
        builder.build().context("cannot make the HTTP client")
    }
}

/// What a bearer token in the environment variable `name` is sent as.
///
/// # Errors
/// If there is none.
pub fn bearer(name: &str) -> anyhow::Result<String> {
    let token = std::env::var(name).ok().filter(|token| !token.is_empty());
    let token = token.context(
        // It is not named: somebody may have given the token itself.
        "no environment variable of the name in --bearer-env holds a token",
    )?;
    Ok(format!("Bearer {token}"))
}

/// Name and value of a header as `--header` takes it.
///
/// # Errors
/// If there is no colon.
pub fn header(text: &str) -> Result<(String, String), Usage> {
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| Usage("--header is a name, a colon and a value".to_owned()))?;
    Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}

/// Headers as they are sent, none of which is shown where values are.
///
/// # Errors
/// If a name or a value is none.
pub fn headers<'a>(
    given: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let known: HeaderName = name
            .parse()
            .with_context(|| format!("`{name}` is not the name of a header"))?;
        let mut value = HeaderValue::from_str(value)
            .with_context(|| format!("what `{name}` is given is not a header's value"))?;
        value.set_sensitive(true);
        headers.append(known, value);
    }
    Ok(headers)
}

/// The innermost cause of an error: what went wrong, without who tried what.
#[must_use]
pub fn root_cause(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.last().map(ToString::to_string).unwrap_or_default()
}

fn builder(keep_alive: bool) -> reqwest::ClientBuilder {
    // An error means that the process has a provider already.
    let _ = default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(if keep_alive { usize::MAX } else { 0 })
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .tcp_nodelay(true)
}
