//! The HTTP client of probe, load and sampler.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::exit::Usage;

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
}

impl Reach {
    /// As [`client`], for these services.
    ///
    /// # Errors
    /// If the certificate cannot be read, or the client cannot be made.
    pub fn client(&self, keep_alive: bool) -> anyhow::Result<reqwest::Client> {
        let mut builder = builder(keep_alive);
        for (name, addresses) in &self.addresses {
            builder = builder.resolve_to_addrs(name, addresses);
        }
        if let Some(path) = &self.ca_certificate {
            builder = builder.tls_certs_merge(certificates(path)?);
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

fn certificates(path: &Path) -> anyhow::Result<Vec<reqwest::Certificate>> {
    let text = std::fs::read(path)
        .with_context(|| format!("cannot read the certificate {}", path.display()))?;
    let nothing = || format!("{} holds no PEM certificate", path.display());
    let found = reqwest::Certificate::from_pem_bundle(&text).with_context(nothing)?;
    anyhow::ensure!(!found.is_empty(), nothing());
    Ok(found)
}

fn builder(keep_alive: bool) -> reqwest::ClientBuilder {
    // An error means that the process has a provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(if keep_alive { usize::MAX } else { 0 })
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .tcp_nodelay(true)
}
