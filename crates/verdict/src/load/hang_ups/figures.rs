use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::summary::Distribution;

/// A row of requests whose clients hang up. The endings sum to `sent`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HangUpFigures {
    /// Requests that the plan had.
    pub planned: u64,
    /// Requests whose turn came. The row stops when enough have hung.
    pub sent: u64,
    /// Whether the row came to its end.
    pub is_over: bool,
    /// Attempts whose answer was over before the client could leave at its stage. Each was repeated.
    pub tried_again: u64,
    /// By name: `hung_up`, `completed`, `broken`, `hanging`, `refused`, `failed`, `missed`, `not_sent`,
    /// `cut`.
    pub endings: BTreeMap<String, u64>,
    /// Answers by status.
    pub statuses: BTreeMap<String, u64>,
    /// Requests that reached their planned stage.
    pub reached: u64,
    /// From the sending of a request to the head of its answer, for requests that got one.
    pub first_byte_us: Distribution,
    /// Number in the row of the first request that was served nothing; `null` if none hung.
    pub first_hanging: Option<u64>,
    /// Requests sent after that one.
    pub tried_after_first_hanging: Option<u64>,
    /// Those of them that were served.
    pub served_after_first_hanging: Option<u64>,
    /// From the hang-up to the release by the upstream, by its ledger. A stream that is still open at the
    /// end counts as censored. `null` if the ledger was not read.
    pub release_us: Option<Distribution>,
    /// Streams that the upstream still had.
    pub not_released: Option<u64>,
    /// Requests that were served and are not in the ledger.
    pub unknown_to_upstream: Option<u64>,
    /// Streams that the upstream began after their client had given up.
    pub begun_for_nobody: Option<u64>,
    /// Streams by upstream: the first one, then the fallback.
    pub by_upstream: Vec<u64>,
    /// By name of the stage.
    pub by_stage: BTreeMap<String, StageFigures>,
}

/// The requests of a row whose clients leave at one stage.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageFigures {
    /// Requests.
    pub planned: u64,
    /// Those that got there.
    pub reached: u64,
    /// From the hang-up to the release by the upstream; `null` if the ledger was not read.
    pub release_us: Option<Distribution>,
    /// Streams that the upstream still had.
    pub not_released: Option<u64>,
}

/// What is there after a load and was not there before it. A field is `null` if it could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Leftovers {
    /// Streams that the upstreams have and no client has.
    pub upstream_streams: Option<u64>,
    /// Permits in use.
    pub permits: Option<u64>,
    /// Threads of the blocking pool that are busy.
    pub threads_busy: Option<u64>,
    /// Tasks of the runtime, without those of connections to the upstream that are kept for later.
    pub tasks: Option<u64>,
    /// Connections of clients.
    pub connections: Option<u64>,
    /// Open files, without those of connections to the upstream that are kept for later.
    pub fds: Option<u64>,
}
