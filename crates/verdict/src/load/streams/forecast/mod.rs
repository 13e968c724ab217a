//! What theory says of streams, one file for each way to hold something while a stream lasts.

mod chunks;
mod lookups;
mod rollout;
mod streams;

use super::StreamSpec;
use crate::forecast::{Model, Question};
use crate::scenario::Cell;
use crate::summary::Forecast;

/// What the laws forecast.
pub(crate) const FORECASTS: &[&str] = &[
    "served_at_once",
    "unserved",
    "refused",
    "async",
    "blocking",
    "ttft_p50",
    "ttft_max",
    "queue_wait_max",
    "time_to_recover",
    "<endpoint>_unanswered",
    "<endpoint>_p50",
    "<endpoint>_p99",
];

/// What a stream holds while it lasts.
#[rustfmt::skip]
pub(crate) const MODELS: &[Model] = &[
    // A thread of the blocking pool, for the whole stream.
    Model::new("thread_per_stream", |asked| of(asked, |cell, load| Some(streams::thread_per_stream(cell, load)))),
    // A thread of a pool of the streams' own, for the whole stream.
    Model::new("own_pool", |asked| of(asked, |cell, load| Some(streams::own_pool(cell, load)))),
    // A thread of the blocking pool, for each chunk.
    Model::new("thread_per_chunk", |asked| of(asked, |cell, load| Some(chunks::thread_per_chunk(cell, load)))),
    // A client that is built for the request, on the event loop; then nothing.
    Model::new("client_per_request", |asked| of(asked, |_, load| Some(streams::client_per_request(load)))),
    // A thread of the blocking pool for an instant, to look up the name of the upstream; then nothing.
    Model::new("name_lookup", |asked| of(asked, lookups::name_lookup)),
    // One of a client's few connections, for the whole stream; nothing of the server.
    Model::new("capped_client", |asked| of(asked, |cell, load| Some(streams::capped_client(cell, load)))),
    // A thread of the blocking pool for the whole stream, or nothing, as the key of the stream and the
    // percentage of the step have it.
    Model::new("rollout", |asked| of(asked, |cell, load| rollout::rollout(cell, load, asked.seed))),
    // Nothing: a task on the event loop.
    Model::new("async", |asked| of(asked, |_, load| Some(streams::event_loop(load)))),
];

/// What a law says of the streams of a cell, if there are any.
fn of(
    asked: Question<'_>,
    law: impl FnOnce(&Cell, &StreamSpec) -> Option<Vec<Forecast>>,
) -> Vec<Forecast> {
    let streams = asked.cell.load.streams.as_ref();
    let rows = streams.and_then(|streams| law(asked.cell, streams));
    rows.unwrap_or_default()
}
