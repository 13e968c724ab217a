//! Seven ways to mix sync and async. Each route says what its work and its background task hold.
//! Cured: each kind of work has a bound, and work beyond the bound is refused.

use std::time::Instant;

use axum::Router;
use axum::extract::Query;
use axum::routing::get;
use failures::route_matrix::{Background, MatrixAnswer, MatrixQuery};
use service::Services;
use tokio::time::sleep;
use vitals::{Bulkhead, BulkheadError};

use crate::bounds::{BoundedBackground, inner_pool};

/// What a piece of work holds while it lasts.
#[derive(Clone, Copy)]
enum Holds {
    /// A thread of a pool.
    Pool,
    /// Nothing: it awaits.
    Nothing,
}

/// Path, inner work, background task. All work of a `sync-route` runs on the pool.
#[rustfmt::skip]
const ROUTES: [(&str, Holds, Holds); 7] = {
    use Holds::{Nothing, Pool};
    [
        ("/sync-route-sync-inner-async-bg-sync-task", Pool, Pool),
        ("/sync-route-sync-inner-async-bg-async-task", Pool, Nothing),
        ("/sync-route-sync-inner-sync-bg-sync-task", Pool, Pool),
        ("/async-route-sync-inner-async-bg-async-task", Pool, Nothing),
        ("/async-route-async-inner-async-bg-async-task", Nothing, Nothing),
        ("/async-route-async-inner-async-bg-sync-task", Nothing, Pool),
        ("/async-route-async-inner-sync-bg-sync-task", Nothing, Pool),
    ]
};

#[derive(Clone)]
struct App {
    pool: Bulkhead,
    background: BoundedBackground,
    account: Background,
}

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let app = App {
        pool: inner_pool(&services.args),
        background: BoundedBackground::new(&services.args.bulkheads),
        account: Background::open(services),
    };
    let mut router = Router::new();
    for (path, inner, background) in ROUTES {
        let app = app.clone();
        let handler = move |Query(query)| respond(app, inner, background, query);
        router = router.route(path, get(handler));
    }
    Ok(router)
}

/// Does the inner work, hands the background task over, and then answers.
/// A task on the loop begins after the response is written. A task on a pool may begin before.
async fn respond(
    app: App,
    inner: Holds,
    background: Holds,
    query: MatrixQuery,
) -> Result<MatrixAnswer, BulkheadError> {
    let started = Instant::now();
    match inner {
        Holds::Pool => app.pool.run(query.inner.blocking_work()).await?,
        Holds::Nothing => sleep(query.inner.get()).await,
    }
    let inner = started.elapsed();
    let task = app.account.task();
    let time = query.background;
    let accepted = match background {
        Holds::Pool => app.background.block(move || task.run(time.blocking_work())),
        Holds::Nothing => app.background.spawn(task.run_async(sleep(time.get()))),
    };
    Ok(app.account.answer(inner, accepted))
}
