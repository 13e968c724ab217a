//! A close that closes nothing: the client's body is a wrapper around an exchange that a registry
//! holds as well. To close the wrapper closes the wrapper.

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

/// Every exchange, for whoever wants to list or cancel them. Nobody ever takes one out.
type Registry = Arc<Mutex<Vec<Arc<Mutex<Exchange>>>>>;

/// What has to be let go: the upstream's response, and the permit.
type Exchange = (BoxStream<'static, reqwest::Result<Bytes>>, Permit);

/// When the client's body is dropped, or has come to its end, it lets go of its share of the exchange. The
/// registry keeps the other share, and with it the upstream's connection and the permit.
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
