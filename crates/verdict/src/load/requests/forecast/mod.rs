//! What theory says of classes of requests, one file for each thing that they compete for.

mod bodies;
mod liveness;
mod routes;

use crate::forecast::{Model, Question};
use crate::summary::Forecast;
use liveness::Setting;

pub use bodies::largest_body;

/// The worker that read a body, while it is parsed. Its law needs the parse time on this machine.
pub const PARSE_ON_WORKER: Model = Model::new("parse_on_worker", |question| {
    let parse = question.parse;
    parse.map_or(Vec::new(), |parse| bodies::on_worker(question.cell, parse))
});

/// What the laws forecast.
pub(crate) const FORECASTS: &[&str] = &[
    "throughput",
    "response_p50",
    "response_mean",
    "unanswered",
    "refused",
    "pending_end",
    "pending_later",
    "drain",
    "predictions",
    "queue_growth",
    "queue_wait_max",
    "answer_p99",
    "first_kill",
    "kills",
    "restarts",
    "liveness_failed",
    "<class>_p50",
    "<class>_p95",
    "<class>_p99",
    "<endpoint>_unanswered",
    "<endpoint>_p50",
    "<endpoint>_p99",
];

/// What a request holds while it lasts.
#[rustfmt::skip]
pub(crate) const MODELS: &[Model] = &[
    PARSE_ON_WORKER,
    // A thread for computing, while a large body is parsed.
    Model::new("parse_on_pool", |question| bodies::on_cpu_pool(question.cell)),
    // What the path says, of one pool shared by all and of the event loop.
    Model::new("routes", routes::broken),
    // What the path says, of bulkheads; nothing of the event loop.
    Model::new("routes_cured", routes::cured),
    // A thread of the pool that the liveness probe shares.
    Model::new("shared_pool", |question| of(question, liveness::shared_pool)),
    // The event loop itself.
    Model::new("on_loop", |question| of(question, liveness::on_loop)),
    // The one thread of a pool of its own, whose queue has no bound.
    Model::new("dedicated_thread", |question| of(question, liveness::dedicated_thread)),
    // A thread of a pool of its own, whose queue has no bound.
    Model::new("dedicated_pool", |question| of(question, liveness::dedicated_pool)),
    // A thread of a pool of its own, whose queue has a bound.
    Model::new("bulkhead", |question| of(question, liveness::bulkhead)),
];

/// What a law says of the predictions of a cell, if there are any.
fn of(question: Question<'_>, law: fn(&Setting<'_>) -> Vec<Forecast>) -> Vec<Forecast> {
    Setting::of(question.cell).map_or(Vec::new(), |setting| law(&setting))
}
