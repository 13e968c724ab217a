//! Every failure on purpose. `diff` a file with the one of the same name in `server-fixed`: the
//! difference is the lesson.

mod blocking;
mod disconnect;
mod disconnect_app;
mod disconnect_blocking_zombie;
mod disconnect_missed_disconnect;
mod disconnect_no_op_close;
mod disconnect_no_timeout;
mod disconnect_unread_body;
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
        name: "disconnect",
        variant: "",
        routes: disconnect::routes,
    },
    Failure {
        name: "disconnect",
        variant: "detached-pump",
        routes: disconnect::routes,
    },
    Failure {
        name: "disconnect",
        variant: "no-op-close",
        routes: disconnect_no_op_close::routes,
    },
    Failure {
        name: "disconnect",
        variant: "missed-disconnect",
        routes: disconnect_missed_disconnect::routes,
    },
    Failure {
        name: "disconnect",
        variant: "unread-body",
        routes: disconnect_unread_body::routes,
    },
    Failure {
        name: "disconnect",
        variant: "blocking-zombie",
        routes: disconnect_blocking_zombie::routes,
    },
    Failure {
        name: "disconnect",
        variant: "no-timeout",
        routes: disconnect_no_timeout::routes,
    },
];

/// The routes of every failure.
///
/// # Errors
/// If the upstream's address is not one, or a variant is asked for that does not exist.
pub fn routes(services: &mut Services) -> anyhow::Result<Router> {
    services.mount(FAILURES)
}
