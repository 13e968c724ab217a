//! Every failure on purpose. `diff` a file with the one of the same name in `server-fixed`: the
//! difference is the lesson.

mod blocking;
mod stream;
mod stream_client_per_request;
mod stream_per_chunk;
mod stream_routes;

use axum::Router;
use service::{Failure, Services};

/// Every failure, and every variant of one: a file and a line here.
const FAILURES: &[Failure] = &[
    Failure {
        name: "stream",
        variant: "",
        routes: stream::routes,
    },
    Failure {
        name: "stream",
        variant: "per-chunk",
        routes: stream_per_chunk::routes,
    },
    Failure {
        name: "stream",
        variant: "client-per-request",
        routes: stream_client_per_request::routes,
    },
];

/// The routes of every failure.
///
/// # Errors
/// If the upstream's address is not one, or a variant is asked for that does not exist.
pub fn routes(services: &mut Services) -> anyhow::Result<Router> {
    services.mount(FAILURES)
}
