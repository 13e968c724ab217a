//! Slow streams on a pool of *their own*, a second executor beside the one that the rest of the server
//! shares. A stream still holds a thread for as long as it lasts, so no more are served at once than that
//! pool has threads, and its queue has no bound. But nothing else waits for those threads: a health check
//! finds a free one in the other pool, and sees nothing of it.
//!
//! FastAPI has two pools: a `def` route runs on AnyIO's, `run_in_executor(None, …)` on the loop's own. And
//! an executor that the app makes is a third. Which pool a health check uses decides what it can see.

use axum::Router;
use failures::stream::mount;
use service::Services;
use vitals::Bulkhead;

use crate::blocking::{BlockingClient, Threads};
use crate::stream::relay_to;

pub(crate) fn routes(services: &mut Services) -> anyhow::Result<Router> {
    let threads = services.args.pool_threads as usize;
    let pool = Bulkhead::new("streams", threads, None);
    let gauge = pool.clone();
    services.gauge("bulkhead", move || gauge.snapshot());
    let client = BlockingClient::on(Threads::Own(pool), services);
    mount(services, move |relay, path, request| {
        relay_to(relay, client.clone(), path, request)
    })
}
