//! Which certificates are trusted, and what to do about one that is not.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_platform_verifier::Verifier;

/// A configuration that trusts the certificates of a PEM file beside those of the system: each as the
/// server's own certificate, whatever name it is for, or as that of an authority.
///
/// # Errors
/// If the file cannot be read, or holds no certificate.
pub(crate) fn trusting(path: &Path, provider: Arc<CryptoProvider>) -> anyhow::Result<ClientConfig> {
    let text = std::fs::read(path)
        .with_context(|| format!("cannot read the certificate {}", path.display()))?;
    let nothing = || format!("{} holds no PEM certificate", path.display());
    let given = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let given = given.with_context(nothing)?;
    anyhow::ensure!(!given.is_empty(), nothing());
    let system = Verifier::new_with_extra_roots(given.clone(), Arc::clone(&provider));
    let verifier = Given {
        system: system.with_context(nothing)?,
        given,
    };
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = builder.dangerous();
    let verified = builder.with_custom_certificate_verifier(Arc::new(verifier));
    Ok(verified.with_no_client_auth())
}

/// What to do about a TLS handshake that failed, if that is what went wrong.
pub(crate) fn remedy(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    match tls_error(error)? {
        Error::InvalidCertificate(_) => {
            Some("trust its certificate by --ca-certificate FILE, or any certificate by --insecure")
        }
        Error::InvalidMessage(_) => Some("it speaks no TLS: write http://"),
        _ => None,
    }
}

/// The error of TLS in a chain of errors, where it is wrapped in one of I/O.
fn tls_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    let chain = std::iter::successors(Some(error), |error| error.source());
    let inner = |error: &'a (dyn std::error::Error + 'static)| {
        let io = error.downcast_ref::<std::io::Error>()?;
        io.get_ref()?.downcast_ref::<Error>()
    };
    let mut found = chain.filter_map(|error| error.downcast_ref().or_else(|| inner(error)));
    found.next()
}

/// Trusts the given certificates, also as a server's own, and otherwise what the system trusts.
#[derive(Debug)]
struct Given {
    given: Vec<CertificateDer<'static>>,
    system: Verifier,
}

impl ServerCertVerifier for Given {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.given.contains(end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        self.system
            .verify_server_cert(end_entity, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.system
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.system
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.system.supported_verify_schemes()
    }
}
