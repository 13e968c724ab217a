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
pub(crate) const MODELS: &[Model] = &[
    // A thread of the blocking pool, for the whole stream.
    Model::new("thread_per_stream", |question| {
        of(question, |cell, streams| {
            Some(streams::thread_per_stream(cell, streams))
        })
    }),
    // A thread of a pool of the streams' own, for the whole stream.
    Model::new("own_pool", |question| {
        of(question, |cell, streams| {
            Some(streams::own_pool(cell, streams))
        })
    }),
    // A thread of the blocking pool, for each chunk.
    Model::new("thread_per_chunk", |question| {
        of(question, |cell, streams| {
            Some(chunks::thread_per_chunk(cell, streams))
        })
    }),
    // A client that is built for the request, on the event loop; then nothing.
    Model::new("client_per_request", |question| {
        of(question, |_, streams| {
            Some(streams::client_per_request(streams))
        })
    }),
    // A thread of the blocking pool for an instant, to look up the name of the upstream; then nothing.
    Model::new("name_lookup", |question| of(question, lookups::name_lookup)),
    // One of a client's few connections, for the whole stream; nothing of the server.
    Model::new("capped_client", |question| {
        of(question, |cell, streams| {
            Some(streams::capped_client(cell, streams))
        })
    }),
    // A thread of the blocking pool for the whole stream, or nothing, as the key of the stream and the
    // percentage of the step have it.
    Model::new("rollout", |question| {
        of(question, |cell, streams| {
            rollout::rollout(cell, streams, question.seed)
        })
    }),
    // Nothing: a task on the event loop.
    Model::new("async", |question| {
        of(question, |_, streams| Some(streams::event_loop(streams)))
    }),
];

/// What a law says of the streams of a cell, if there are any.
fn of(
    question: Question<'_>,
    law: impl FnOnce(&Cell, &StreamSpec) -> Option<Vec<Forecast>>,
) -> Vec<Forecast> {
    let streams = question.cell.load.streams.as_ref();
    let rows = streams.and_then(|streams| law(question.cell, streams));
    rows.unwrap_or_default()
}
