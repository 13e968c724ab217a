//! A hang-up that hyper's defaults miss, because the request's body is not read to its end. While bytes
//! of the request are left to read, hyper does not see that the client has left.

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

/// Only the head of the request is needed, so nothing reads the body. A small body arrives with hyper's
/// first read, so a hang-up is noticed. Of 200 kB most stays unread, and the hang-up is missed.
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
