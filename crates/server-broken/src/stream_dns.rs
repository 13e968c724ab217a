//! Slow streams, async, to a host *name*: a stream holds no thread, and to open a connection takes one
//! all the same. reqwest's default resolver looks a name up by `getaddrinfo`, in `spawn_blocking`. While
//! others fill the runtime's blocking pool, the lookup waits behind them, and the stream with it, though
//! nothing in its handler blocks.
//!
//! An IP address, `.resolve()` or a resolver with threads of its own, as the relay has, need nothing of
//! that pool. Nor does a stream that finds an idle connection, so that this comes and goes with traffic.

use anyhow::ensure;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use relay::{Framing, Relay, RelayError, Timeouts, Url};
use reqwest::Client;
use reqwest::redirect::Policy;
use service::Services;

use crate::stream_routes::{self, RelayTo, Upstream};

#[derive(Clone)]
struct App {
    relay: Relay,
    client: Client,
    timeouts: Timeouts,
}

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let url = by_name(stream_routes::url(services)?)?;
    let Upstream {
        relay, timeouts, ..
    } = stream_routes::upstream_at(services, url)?;
    // One for all requests, with the resolver that reqwest has unless told otherwise.
    let client = Client::builder()
        .connect_timeout(timeouts.connect)
        .read_timeout(timeouts.idle)
        .redirect(Policy::none())
        .no_proxy()
        .build()?;
    Ok(stream_routes::router(App {
        relay,
        client,
        timeouts,
    }))
}

/// The lab gives the upstream's address, for which nothing would be looked up.
fn by_name(mut url: Url) -> anyhow::Result<Url> {
    if url.host_str() == Some("127.0.0.1") {
        url.set_host(Some("localhost"))?;
    }
    ensure!(
        url.domain().is_some(),
        "--upstream: the variant dns dials a host name, and `{url}` has an address"
    );
    Ok(url)
}

impl RelayTo for App {
    /// As the cure does it, but for the client. The wait is in `execute`, as a part of connecting.
    async fn relay_to(self, path: &str, request: Request) -> Result<Response, RelayError> {
        let App {
            relay,
            client,
            timeouts,
        } = self;
        let (parts, body) = request.into_parts();
        let request = relay.buffer(relay.request(&parts, path, body)?).await?;
        let permit = relay.permit()?;
        let upstream = client.execute(request.try_into().map_err(unsent)?).await;
        let upstream = upstream.map_err(|error| no_head(error, timeouts))?;
        let head = relay::response_head(&upstream);
        let bytes = upstream.bytes_stream();
        let body = relay.guard(bytes, permit, Framing::of(&head));
        Ok(Response::from_parts(head, Body::from_stream(body)))
    }
}

fn unsent(error: reqwest::Error) -> RelayError {
    RelayError::Upstream {
        source: error.into(),
    }
}

fn no_head(error: reqwest::Error, timeouts: Timeouts) -> RelayError {
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
