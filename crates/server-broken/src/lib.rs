//! Every failure on purpose. `diff` a file with the one of the same name in `server-fixed`: the
//! difference is the lesson.

mod blocking;
mod large_body;
mod large_body_simd;
mod stream;

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
        name: "large-body",
        variant: "",
        routes: large_body::routes,
    },
    Failure {
        name: "large-body",
        variant: "simd",
        routes: large_body_simd::routes,
    },
];

/// The routes of every failure.
///
/// # Errors
/// If the upstream's address is not one, or a variant is asked for that does not exist.
pub fn routes(services: &mut Services) -> anyhow::Result<Router> {
    services.mount(FAILURES)
}
