//! A `reqwest` client as it comes, and the upstream's host name for it to dial. Nothing of the lesson:
//! when a name is looked up, and on which thread, is.

use anyhow::ensure;
use relay::{RelayError, Timeouts, Url};
use reqwest::Client;
use reqwest::redirect::Policy;
use service::ServerArgs;

/// The upstream by a host name. The lab gives its address, for which nothing would be looked up.
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
    // Only the first caller of a process can install it, and any will do.
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
    // Without the URL: clients read it, and the upstream's address does not concern them.
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
