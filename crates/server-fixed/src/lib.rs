//! Every failure cured. `diff` a file with the one of the same name in `server-broken`: the
//! difference is the lesson.

mod admission;
mod bounds;
mod cpu_pool;
mod disconnect;
mod disconnect_aborted_pump;
mod large_body;
mod liveness;
mod rollout;
mod route_matrix;
mod stream;

use axum::Router;
use service::{Failure, Services};

/// Every failure, and every variant of one: a file and a line here.
const FAILURES: &[Failure] = &[
    Failure::new("stream", "", stream::routes),
    Failure::new("large-body", "", large_body::routes),
    Failure::new("liveness", "", liveness::routes),
    Failure::new("route-matrix", "", route_matrix::routes),
    Failure::new("disconnect", "", disconnect::routes),
    Failure::new(
        "disconnect",
        "aborted-pump",
        disconnect_aborted_pump::routes,
    ),
    Failure::new("rollout", "", rollout::routes),
];

/// The routes of every failure.
///
/// # Errors
/// If the upstream's address is invalid, or the variant does not exist.
pub fn routes(services: &mut Services) -> anyhow::Result<Router> {
    services.mount(FAILURES)
}
