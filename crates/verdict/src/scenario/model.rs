use serde::{Deserialize, Serialize};

/// What a request holds while it lasts, which decides the forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// A thread of the blocking pool, for the whole stream.
    ThreadPerStream,
    /// A thread of a pool of the streams' own, for the whole stream.
    OwnPool,
    /// A thread of the blocking pool, for each chunk.
    ThreadPerChunk,
    /// A client that is built for the request, on the event loop; then nothing.
    ClientPerRequest,
    /// A thread of the blocking pool for an instant, to look up the name of the upstream; then nothing.
    NameLookup,
    /// One of a client's few connections, for the whole stream; nothing of the server.
    CappedClient,
    /// The worker that read a body, while it is parsed.
    ParseOnWorker,
    /// A thread for computing, while a large body is parsed.
    ParseOnPool,
    /// A thread of the blocking pool for the whole stream, or nothing, as the key of the stream and the
    /// percentage of the step have it.
    Rollout,
    /// Nothing: a task on the event loop.
    Async,
    /// What the path says, of one pool shared by all and of the event loop.
    Routes,
    /// What the path says, of bulkheads; nothing of the event loop.
    RoutesCured,
    /// A permit, until a task that nobody stops has drained the upstream.
    DetachedPump,
    /// A permit, for ever: the close does not reach it.
    NoOpClose,
    /// A permit, until something is written to a client that is gone.
    MissedDisconnect,
    /// A permit and a thread of the blocking pool, until the upstream has been read to its end.
    BlockingZombie,
    /// A permit, as long as neither the client is known to be gone nor the upstream says anything.
    NoTimeout,
    /// A permit, until the client is gone.
    Releasing,
    /// There is no law for it: the scenario says why, under `no_forecast`.
    None,
    /// A thread of the pool that the liveness probe shares.
    SharedPool,
    /// The event loop itself.
    OnLoop,
    /// The one thread of a pool of its own, whose queue has no bound.
    DedicatedThread,
    /// A thread of a pool of its own, whose queue has no bound.
    DedicatedPool,
    /// A thread of a pool of its own, whose queue has a bound.
    Bulkhead,
}
