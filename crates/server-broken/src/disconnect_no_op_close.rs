//! A close that closes nothing. The client's body shares its exchange with a registry. Closing the body
//! drops one of the two references, so the exchange stays open.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use failures::disconnect::mount;
use futures_util::stream::{BoxStream, StreamExt, poll_fn};
use relay::{Permit, Relay, RelayError};
use service::Services;

use crate::disconnect::FOREVER;

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let registry = Registry::default();
    mount(services, move |relay, path, request| {
        relay_to(relay, registry.clone(), path, request)
    })
}

/// Every exchange, so that somebody could list or cancel them. Nothing ever removes one.
type Registry = Arc<Mutex<Vec<Arc<Mutex<Exchange>>>>>;

/// What must be freed: the upstream's response and the permit.
type Exchange = (BoxStream<'static, reqwest::Result<Bytes>>, Permit);

/// The client's body drops its reference when it ends or when the client leaves. The registry's reference
/// keeps the upstream's connection and the permit.
async fn relay_to(
    relay: Relay,
    registry: Registry,
    path: String,
    request: Request,
) -> Result<Response, RelayError> {
    let (parts, body) = request.into_parts();
    let request = relay.read(relay.request(&parts, &path, body)?).await?;
    let permit = relay.permit_within(FOREVER).await?;
    let upstream = relay.send(request).await?;
    let head = relay::response_head(&upstream);
    let exchange = (upstream.bytes_stream().boxed(), permit);
    let exchange = Arc::new(Mutex::new(exchange));
    lock(&registry).push(Arc::clone(&exchange));
    let body = poll_fn(move |cx| lock(&exchange).0.poll_next_unpin(cx));
    Ok(Response::from_parts(head, Body::from_stream(body)))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
