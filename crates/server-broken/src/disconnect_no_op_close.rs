//! A close that closes nothing: the client's body is a wrapper around an exchange that a registry
//! holds as well. To close the wrapper closes the wrapper.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::{BoxStream, StreamExt};
use relay::{BoxError, Permit, RelayError};
use service::Services;

use crate::disconnect_app::{App, FOREVER, body_with, mount, timeouts};

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let timeouts = timeouts(&services.args);
    let registry = Registry::default();
    mount(services, timeouts, move |app, path, request| {
        relay_to(app, registry.clone(), path, request)
    })
}

/// Every exchange, for whoever wants to list or cancel them. Nobody ever takes one out.
type Registry = Arc<Mutex<Vec<Shared>>>;

type Shared = Arc<Mutex<Exchange>>;

/// What has to be let go: the upstream's response, and the permit.
struct Exchange {
    bytes: BoxStream<'static, Result<Bytes, BoxError>>,
    _permit: Permit,
}

async fn relay_to(
    app: App,
    registry: Registry,
    path: String,
    request: Request,
) -> Result<Response, RelayError> {
    let relay = &app.relay;
    let (parts, body) = request.into_parts();
    let request = relay.read(relay.request(&parts, &path, body)?).await?;
    let permit = relay.permit_within(FOREVER).await?;
    let client = app.client();
    let upstream = relay.send(request).await?;
    let head = relay::response_head(&upstream);
    let exchange = Arc::new(Mutex::new(Exchange {
        bytes: upstream
            .bytes_stream()
            .map(|chunk| chunk.map_err(Into::into))
            .boxed(),
        _permit: permit,
    }));
    lock(&registry).push(Arc::clone(&exchange));
    let bytes = Wrapper {
        exchange,
        is_closed: false,
    };
    Ok(Response::from_parts(head, body_with(bytes, client)))
}

struct Wrapper {
    exchange: Shared,
    is_closed: bool,
}

impl Wrapper {
    /// Reaches neither the upstream's connection nor the permit: those are the exchange's, and the
    /// registry has that too. It makes no difference whether the client hung up or the stream is over.
    fn close(&mut self) {
        self.is_closed = true;
    }
}

impl Stream for Wrapper {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_closed {
            return Poll::Ready(None);
        }
        let next = lock(&self.exchange).bytes.poll_next_unpin(cx);
        if let Poll::Ready(None) = next {
            self.close();
        }
        next
    }
}

impl Drop for Wrapper {
    fn drop(&mut self) {
        self.close();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
