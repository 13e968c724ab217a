use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::middleware::map_response;
use axum::response::Response;

use crate::{Drain, Listener, Peer};

/// Serves `router` until the drain is over: from its beginning no connection is accepted, live
/// responses end by themselves, and what is left when its time is up is cut.
///
/// # Errors
/// If the listener fails for good.
///
/// # Cancel safety
/// Dropping the future closes the listener; connections already accepted go on until their runtime ends.
pub async fn serve(listener: Listener, router: Router, drain: Drain) -> io::Result<()> {
    let open = listener.open_connections();
    let served = accept(listener, router, drain.clone());
    until_expired(served, &drain, &open).await
}

/// Accepts until the drain begins, then waits for the connections without a limit.
pub(crate) async fn accept(listener: Listener, router: Router, drain: Drain) -> io::Result<()> {
    let service = router.into_make_service_with_connect_info::<Peer>();
    axum::serve(listener, service)
        .with_graceful_shutdown(async move { drain.begun().await })
        .await
}

/// Waits for `served`, but not beyond the drain's time.
pub(crate) async fn until_expired(
    served: impl Future<Output = io::Result<()>>,
    drain: &Drain,
    open: &Arc<AtomicUsize>,
) -> io::Result<()> {
    tokio::select! {
        result = served => result,
        () = drain.expired() => {
            let left = open.load(Ordering::Relaxed);
            tracing::warn!(left, "the drain's time is over; the connections that are left are cut");
            Ok(())
        }
    }
}

/// Makes every response the last one of its connection.
pub(crate) fn without_keep_alive(router: Router) -> Router {
    router.layer(map_response(async |mut response: Response| {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
        response
    }))
}
