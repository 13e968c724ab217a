//! The same miss on hyper's defaults: a request whose body is not read to its end. hyper looks for the
//! client's end in mid-response only behind a request that it has read whole.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use failures::disconnect::mount;
use http::Method;
use relay::{Framing, Relay, RelayError};
use service::Services;

use crate::disconnect::FOREVER;

/// What the upstream is asked, whatever the client has sent.
const QUESTION: &str =
    r#"{"model":"any","stream":true,"messages":[{"role":"user","content":"What is new?"}]}"#;

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    mount(services, relay_to)
}

/// The head of the request is all that is needed, so nobody reads the body. One that comes with hyper's
/// first read is behind it, and a hang-up is noticed; of 200 kB the rest stays in the way.
async fn relay_to(relay: Relay, path: String, request: Request) -> Result<Response, RelayError> {
    let (parts, _unread) = request.into_parts();
    let question = match parts.method {
        Method::POST => Body::from(QUESTION),
        _ => Body::empty(),
    };
    let request = relay.request(&parts, &path, question)?;
    let permit = relay.permit_within(FOREVER).await?;
    let upstream = relay.send(request).await?;
    let head = relay::response_head(&upstream);
    let body = relay.guard(upstream.bytes_stream(), permit, Framing::of(&head));
    Ok(Response::from_parts(head, Body::from_stream(body)))
}
