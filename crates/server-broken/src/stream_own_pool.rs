//! Slow streams on a pool of *their own*, beside the pool that the rest of the server shares. A stream
//! still holds a thread until it ends. So the pool serves as many streams at once as it has threads, and
//! its queue has no bound. Nothing else uses those threads: a health check finds a free thread in the
//! other pool, and so does not see the queue.
//!
//! FastAPI has two pools. A `def` route runs on AnyIO's, and `run_in_executor(None, …)` on the loop's
//! own. An executor that the app makes is a third. A health check sees only the pool that it uses.

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
