//! Slow streams, async, with a client *built for each request*: no thread is held, but to build one is
//! to parse the system's TLS roots, on the event loop, and no connection is used twice. In a burst of
//! requests the loop parses, and answers nobody meanwhile.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use relay::{ConfigError, Framing, Relay, RelayError, Timeouts, Url};
use service::Services;

use crate::stream_routes::{self, RelayTo, Upstream};

#[derive(Clone)]
struct App {
    relay: Relay,
    url: Url,
    timeouts: Timeouts,
}

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let Upstream {
        relay,
        url,
        timeouts,
    } = stream_routes::upstream(services)?;
    let app = App {
        relay,
        url,
        timeouts,
    };
    Ok(stream_routes::router(app))
}

impl RelayTo for App {
    /// As the cure does it, but for the client: a relay is made here, which makes its own, to send one
    /// request. The permits and the counters stay those of the relay that all requests share.
    async fn relay_to(self, path: &str, request: Request) -> Result<Response, RelayError> {
        let App {
            relay,
            url,
            timeouts,
        } = self;
        let (parts, body) = request.into_parts();
        let request = relay.read(relay.request(&parts, path, body)?).await?;
        let permit = relay.permit()?;
        let client = Relay::new(url, timeouts, 1).map_err(no_client)?;
        let upstream = client.send(request).await?;
        let head = relay::response_head(&upstream);
        let bytes = upstream.bytes_stream();
        let body = relay.guard(bytes, permit, Framing::of(&head));
        Ok(Response::from_parts(head, Body::from_stream(body)))
    }
}

fn no_client(error: ConfigError) -> RelayError {
    RelayError::Connect {
        source: error.into(),
    }
}
