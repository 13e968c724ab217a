use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use service::Connection;
use tokio::sync::watch;

use super::listener::Listener;
use super::peer::Peer;

/// How long what was written before a break may take to get into the socket. Over HTTP/2 it is another
/// task that writes, and a reset throws away what it has not.
pub(crate) const FLUSH: Duration = Duration::from_millis(20);

/// Streams that clients may reset before anybody looked at them, on one connection. A client that
/// hangs up hundreds of streams at once does no harm here; by default it would lose its connection.
const PENDING_RESETS: usize = 100_000;

/// Serves HTTP/1.1 and HTTP/2, told apart by the first bytes of a connection, until `stop` completes
/// and what was under way then has ended. A connection of HTTP/2 has at most `http2_streams` streams at
/// once.
///
/// # Cancel safety
/// Dropping the future closes the listener; connections already accepted go on until their runtime
/// ends.
pub(crate) async fn serve(
    mut listener: Listener,
    router: Router,
    http2_streams: Option<u32>,
    stop: impl Future<Output = ()>,
) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http2()
        .max_concurrent_streams(http2_streams)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(None);
    let builder = Arc::new(builder);
    let (stopping, _) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        let connection = tokio::select! {
            connection = listener.accept() => connection,
            () = &mut stop => break,
        };
        let (builder, router) = (Arc::clone(&builder), router.clone());
        tokio::spawn(serve_one(connection, builder, router, stopping.subscribe()));
    }
    drop(listener);
    stopping.send_replace(());
    stopping.closed().await;
}

async fn serve_one(
    connection: Connection<Peer>,
    builder: Arc<Builder<TokioExecutor>>,
    router: Router,
    mut stopping: watch::Receiver<()>,
) {
    let peer = connection.peer().clone();
    let noted = peer.clone();
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(noted.clone()));
        router.call(request)
    });
    let mut served = pin!(builder.serve_connection(TokioIo::new(connection), service));
    let mut stopped = false;
    loop {
        tokio::select! {
            _ = served.as_mut() => return,
            _ = stopping.changed(), if !stopped => {
                stopped = true;
                served.as_mut().graceful_shutdown();
            }
            () = peer.given_up() => {
                let _ = tokio::time::timeout(FLUSH, served).await;
                return;
            }
        }
    }
}
