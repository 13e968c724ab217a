use serde::{Deserialize, Serialize};

/// What a request holds while it lasts, which decides the forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// A thread of the blocking pool, for the whole stream.
    ThreadPerStream,
    /// Nothing: a task on the event loop.
    Async,
    /// What the path says, of one pool shared by all and of the event loop.
    Routes,
    /// What the path says, of bulkheads; nothing of the event loop.
    RoutesCured,
}
