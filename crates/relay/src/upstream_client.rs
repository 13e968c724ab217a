//! The HTTP client that speaks with the upstream.

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client};

use crate::config_error::ConfigError;
use crate::protocol::Protocol;
use crate::resolver::Resolver;
use crate::timeouts::Timeouts;

/// What a client is made of. Any change makes another client, with connections of its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct UpstreamClient {
    pub protocol: Protocol,
    /// Trusted beside those of the system.
    pub roots: Vec<Certificate>,
}

impl UpstreamClient {
    pub fn build(&self, timeouts: &Timeouts, permits: usize) -> Result<Client, ConfigError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Fails only if another thread installs one at the same moment.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let mut builder = Client::builder()
            .connect_timeout(timeouts.connect)
            .dns_resolver(Resolver::shared())
            .tcp_nodelay(true)
            .no_proxy()
            .redirect(Policy::none())
            // Another crate of the build may turn decompression on; bytes must pass as they are.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate();
        if !self.roots.is_empty() {
            builder = builder.tls_certs_merge(self.roots.iter().cloned());
        }
        let client = self.protocol.configure(builder, permits).build();
        client.map_err(|error| ConfigError::Client(error.into()))
    }
}

/// The certificates in a text.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, ConfigError> {
    let read = Certificate::from_pem_bundle(pem);
    let roots = read.map_err(|error| ConfigError::RootCertificates(Some(error.into())))?;
    if roots.is_empty() {
        return Err(ConfigError::RootCertificates(None));
    }
    Ok(roots)
}
