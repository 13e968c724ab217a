//! Every failure on purpose. `diff` a file with the one of the same name in `server-fixed`: the
//! difference is the lesson.

mod blocking;
mod by_name;
mod disconnect;
mod disconnect_blocking_zombie;
mod disconnect_missed_disconnect;
mod disconnect_no_op_close;
mod disconnect_no_timeout;
mod disconnect_unread_body;
mod large_body;
mod large_body_typed;
mod liveness;
mod liveness_dedicated;
mod liveness_inline;
mod rollout;
mod route_matrix;
mod stream;
mod stream_capped;
mod stream_client_per_request;
mod stream_dns;
mod stream_own_pool;
mod stream_per_chunk;

use axum::Router;
use service::{Failure, Services};

/// Every failure, and every variant of one: a file and an entry here.
const FAILURES: &[Failure] = &[
    Failure::new("stream", "", stream::routes),
    Failure::new("stream", "per-chunk", stream_per_chunk::routes),
    Failure::new(
        "stream",
        "client-per-request",
        stream_client_per_request::routes,
    ),
    Failure::new("stream", "own-pool", stream_own_pool::routes),
    Failure::new("stream", "dns", stream_dns::routes),
    Failure::new("stream", "capped", stream_capped::routes),
    Failure::new("large-body", "", large_body::routes),
    Failure::new("large-body", "typed", large_body_typed::routes),
    Failure::new("liveness", "", liveness::routes),
    Failure::new("liveness", "inline", liveness_inline::routes),
    Failure::new("liveness", "dedicated", |services| {
        liveness_dedicated::routes(services, 1)
    }),
    Failure::new("liveness", "dedicated-pool", |services| {
        liveness_dedicated::routes(services, services.args.pool_threads as usize)
    }),
    Failure::new("route-matrix", "", route_matrix::routes),
    Failure::new("disconnect", "", disconnect::routes),
    Failure::new("disconnect", "detached-pump", disconnect::routes),
    Failure::new("disconnect", "no-op-close", disconnect_no_op_close::routes),
    Failure::new(
        "disconnect",
        "missed-disconnect",
        disconnect_missed_disconnect::routes,
    ),
    Failure::new("disconnect", "unread-body", disconnect_unread_body::routes),
    Failure::new(
        "disconnect",
        "blocking-zombie",
        disconnect_blocking_zombie::routes,
    ),
    Failure::new("disconnect", "no-timeout", disconnect_no_timeout::routes),
    Failure::new("rollout", "", rollout::routes),
];

/// The routes of every failure.
///
/// # Errors
/// If the upstream's address is invalid, or the variant does not exist.
pub fn routes(services: &mut Services) -> anyhow::Result<Router> {
    // These two flags are meant for the fixed server and must change nothing here.
    services.args.upstream_http2 = false;
    services.args.fallback.clear();
    services.mount(FAILURES)
}
