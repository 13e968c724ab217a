//! Seven ways to mix sync and async, cured: what blocks does so on a bulkhead of its kind, and a
//! background task that there is no room for is refused.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::Query;
use axum::routing::get;
use service::{Background, MatrixAnswer, MatrixQuery, Services};
use tokio::sync::Semaphore;
use tokio::time::sleep;
use vitals::{Bulkhead, BulkheadError};

/// What a piece of work holds while it lasts.
#[derive(Clone, Copy)]
enum Holds {
    /// A thread of the bulkhead for its kind.
    Bulkhead,
    /// Nothing: it awaits.
    Nothing,
}

/// Path, inner work, background task.
#[rustfmt::skip]
const ROUTES: [(&str, Holds, Holds); 7] = {
    use Holds::{Bulkhead, Nothing};
    [
        ("/sync-route-sync-inner-async-bg-sync-task", Bulkhead, Bulkhead),
        ("/sync-route-sync-inner-async-bg-async-task", Bulkhead, Nothing),
        ("/sync-route-sync-inner-sync-bg-sync-task", Bulkhead, Bulkhead),
        ("/async-route-sync-inner-async-bg-async-task", Bulkhead, Nothing),
        ("/async-route-async-inner-async-bg-async-task", Nothing, Nothing),
        ("/async-route-async-inner-async-bg-sync-task", Nothing, Bulkhead),
        ("/async-route-async-inner-sync-bg-sync-task", Nothing, Bulkhead),
    ]
};

#[derive(Clone)]
struct App {
    inner: Bulkhead,
    background: Bulkhead,
    tasks: Arc<Semaphore>,
    account: Background,
}

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let (args, flags) = (&services.args, &services.args.bulkheads);
    let threads = args.pool_threads as usize;
    let background_threads = flags.background_threads as usize;
    let background_queue = flags.background_queue as usize;
    let app = App {
        inner: Bulkhead::new("inner", threads, Some(args.queue())),
        background: Bulkhead::new("background", background_threads, Some(background_queue)),
        tasks: Arc::new(Semaphore::new(flags.background_tasks as usize)),
        account: Background::default(),
    };
    let account = app.account.clone();
    services.gauge("background", move || account.snapshot());
    let mut router = Router::new();
    for (path, inner, background) in ROUTES {
        let app = app.clone();
        let handler = move |Query(query)| respond(app, inner, background, query);
        router = router.route(path, get(handler));
    }
    Ok(router)
}

/// The inner work, then the background task is handed over, then the response leaves, and says in
/// `x-background` whether there was room for the task. It waits for no task.
async fn respond(
    app: App,
    inner: Holds,
    background: Holds,
    query: MatrixQuery,
) -> Result<MatrixAnswer, BulkheadError> {
    let started = Instant::now();
    match inner {
        Holds::Bulkhead => app.inner.run(query.inner.blocking_work()).await?,
        Holds::Nothing => sleep(query.inner.get()).await,
    }
    let inner = started.elapsed();
    let task = app.account.task();
    let time = query.background;
    let accepted = match background {
        Holds::Bulkhead => {
            let job = move || task.run(time.blocking_work());
            app.background.spawn(job).is_ok()
        }
        Holds::Nothing => app.tasks.try_acquire_owned().is_ok_and(|permit| {
            tokio::spawn(async move {
                task.run_async(sleep(time.get())).await;
                drop(permit);
            });
            true
        }),
    };
    if !accepted {
        app.account.refuse();
    }
    Ok(MatrixAnswer { inner, accepted })
}
