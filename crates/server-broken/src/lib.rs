//! Every failure on purpose. `diff` a file with the one of the same name in `server-fixed`: the
//! difference is the lesson.

mod blocking;
mod liveness;
mod liveness_dedicated;
mod liveness_inline;
mod route_matrix;
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
        name: "liveness",
        variant: "",
        routes: liveness::routes,
    },
    Failure {
        name: "liveness",
        variant: "inline",
        routes: liveness_inline::routes,
    },
    Failure {
        name: "liveness",
        variant: "dedicated",
        routes: liveness_dedicated::routes,
    },
    Failure {
        name: "route-matrix",
        variant: "",
        routes: route_matrix::routes,
    },
];

/// The routes of every failure.
///
/// # Errors
/// If the upstream's address is not one, or a variant is asked for that does not exist.
pub fn routes(services: &mut Services) -> anyhow::Result<Router> {
    services.mount(FAILURES)
}
