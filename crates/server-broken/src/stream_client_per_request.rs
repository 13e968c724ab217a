//! Slow streams, async, with a client *built for each request*. No thread is held. But building a client
//! parses the system's TLS roots on the event loop, and no connection is used twice. In a burst of
//! requests the loop is busy parsing and answers nobody.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use failures::stream::mount;
use failures::upstream_url;
use relay::{BoxError, Framing, Relay, RelayError, Url};
use service::Services;

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let upstream = upstream_url(&services.args)?;
    mount(services, move |relay, path, request| {
        relay_to(relay, upstream.clone(), path, request)
    })
}

/// The same as the fixed server, except for the client. Each request is sent by a relay of its own, which
/// makes a client. The permits and the counters are still those of the relay that all requests share.
async fn relay_to(
    relay: Relay,
    upstream: Url,
    path: String,
    request: Request,
) -> Result<Response, RelayError> {
    let (parts, body) = request.into_parts();
    let request = relay.read(relay.request(&parts, &path, body)?).await?;
    let permit = relay.permit()?;
    let client = Relay::new(upstream, relay.timeouts(), 1).map_err(no_client)?;
    let upstream = client.send(request).await?;
    let head = relay::response_head(&upstream);
    let bytes = upstream.bytes_stream();
    let body = relay.guard(bytes, permit, Framing::of(&head));
    Ok(Response::from_parts(head, Body::from_stream(body)))
}

fn no_client(error: impl Into<BoxError>) -> RelayError {
    RelayError::Connect {
        source: error.into(),
    }
}
