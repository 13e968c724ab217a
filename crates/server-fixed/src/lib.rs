//! Every failure cured. `diff` a file with the one of the same name in `server-broken`: the
//! difference is the lesson.

mod stream;

use axum::Router;
use service::Services;

/// The routes of every failure. A new one is a file and a line here.
///
/// # Errors
/// If the upstream's address is not one.
pub fn routes(services: &mut Services) -> anyhow::Result<Router> {
    Ok(Router::new().merge(stream::routes(services)?))
}
