//! A `reqwest` client with its default resolver, and an upstream URL with a host name. This file is
//! plumbing. The lesson, in the `dns` variant, is when a name is looked up, and on which thread.

use anyhow::ensure;
use relay::{RelayError, Timeouts, Url};
use reqwest::Client;
use reqwest::redirect::Policy;
use service::ServerArgs;

/// The upstream by a host name. The lab passes an IP address, which needs no lookup.
pub(crate) fn upstream(args: &ServerArgs) -> anyhow::Result<Url> {
    let mut url = failures::upstream_url(args)?;
    if url.host_str() == Some("127.0.0.1") {
        url.set_host(Some("localhost"))?;
    }
    ensure!(
        url.domain().is_some(),
        "--upstream: the variant dns dials a host name, and `{url}` has an address"
    );
    Ok(url)
}

/// A client with the timeouts of the flags.
pub(crate) fn client(args: &ServerArgs) -> reqwest::Result<Client> {
    // Only the first call in a process installs it. It does not matter who was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .connect_timeout(args.connect_timeout)
        .read_timeout(args.idle_timeout)
        .redirect(Policy::none())
        .no_proxy()
        .build()
}

pub(crate) fn unsent(error: reqwest::Error) -> RelayError {
    RelayError::Upstream {
        source: error.into(),
    }
}

pub(crate) fn no_head(error: reqwest::Error, timeouts: Timeouts) -> RelayError {
    // Clients read this error, and the upstream's address is none of their business.
    let error = error.without_url();
    match (error.is_connect(), error.is_timeout()) {
        (true, true) => RelayError::ConnectTimeout {
            waited: timeouts.connect,
            limit: timeouts.connect,
        },
        (true, false) => RelayError::Connect {
            source: error.into(),
        },
        (false, true) => RelayError::HeadTimeout {
            waited: timeouts.idle,
            limit: timeouts.idle,
        },
        (false, false) => RelayError::Upstream {
            source: error.into(),
        },
    }
}
