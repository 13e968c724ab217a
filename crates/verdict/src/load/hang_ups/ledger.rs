//! What an upstream says of each stream. It is the ground truth for when a stream was released.

use serde::Deserialize;

/// One stream in the ledger of an upstream, as far as the lab reads it.
#[derive(Clone, Debug, Deserialize)]
pub struct LedgerStream {
    /// Number in that ledger.
    pub id: u64,
    /// The `x-request-id` of the request.
    pub request_id: String,
    /// When the request arrived, in microseconds since the Unix epoch.
    pub started_us: u64,
    /// When it ended and all that it held was released, likewise; absent while it is open.
    pub ended_us: Option<u64>,
}

/// The ledgers of all upstreams of a cell at one time.
#[derive(Clone, Debug, Default)]
pub struct LedgerLook {
    /// When it was read, in microseconds since the Unix epoch.
    pub at_unix_us: u64,
    /// By upstream: the first one, then the fallback.
    pub upstreams: Vec<Vec<LedgerStream>>,
}
