//! Why a relay cannot be made.

use reqwest::Url;

use crate::error::BoxError;

/// Why a relay cannot be made. No text of it has a password in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The upstream is not an address to relay to.
    #[error("`{url}` is no upstream: {reason}")]
    #[non_exhaustive]
    Upstream {
        /// The address, without user, password, query and fragment.
        url: Url,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A relay without a single permit would refuse everything.
    #[error("a limit of 0 upstream exchanges would refuse every request")]
    NoPermits,
    /// The text that was given has no root certificate in it.
    #[error(
        "no certificate can be read: give PEM text, -----BEGIN CERTIFICATE----- and what follows"
    )]
    RootCertificates(#[source] Option<BoxError>),
    /// The HTTP client cannot be made, as when the system's TLS roots cannot be read.
    #[error("the upstream's HTTP client cannot be made")]
    Client(#[source] BoxError),
}

/// Whether requests can be relayed to this address.
pub(crate) fn check_upstream(upstream: &Url) -> Result<(), ConfigError> {
    let reason = if !matches!(upstream.scheme(), "http" | "https") {
        "its scheme is neither http nor https"
    } else if !upstream.username().is_empty() || upstream.password().is_some() {
        "it has a user or a password; set an `authorization` header on each request instead"
    } else if upstream.query().is_some() || upstream.fragment().is_some() {
        "it has a query or a fragment, and those come from each request"
    } else {
        return Ok(());
    };
    Err(ConfigError::Upstream {
        url: without_secrets(upstream),
        reason,
    })
}

/// The address without the parts that may be secret.
fn without_secrets(url: &Url) -> Url {
    let mut shown = url.clone();
    // Either fails only for an address without a host, which has no user either.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.set_fragment(None);
    shown
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    fn refused(url: &str) -> Result<(), ConfigError> {
        check_upstream(&url.parse().unwrap())
    }

    #[test]
    fn an_address_with_a_user_or_a_password_is_refused_and_not_repeated() {
        for url in [
            "http://user:s3cret@llm.example/v1",
            "https://:s3cret@llm.example/v1",
            "https://s3cret@llm.example/v1",
            "ftp://user:s3cret@llm.example/v1",
            "http://llm.example/v1?key=s3cret",
            "http://llm.example/v1#s3cret",
        ] {
            let error = refused(url).unwrap_err();
            assert!(error.source().is_none());
            for text in [error.to_string(), format!("{error:?}")] {
                assert!(!text.contains("s3cret"), "{text}");
                assert!(text.contains("llm.example"), "{text}");
            }
        }
        let error = refused("http://user:s3cret@llm.example").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`http://llm.example/` is no upstream: it has a user or a password; set an \
             `authorization` header on each request instead"
        );
    }

    #[test]
    fn an_address_needs_a_scheme_of_http() {
        for url in ["http://127.0.0.1:9000/v1", "https://@llm.example"] {
            refused(url).unwrap();
        }
        for url in ["ftp://llm.example", "mailto:llm@example.com"] {
            let error = refused(url).unwrap_err().to_string();
            assert!(error.ends_with("neither http nor https"), "{error}");
        }
    }
}
