use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::names;

/// What fails.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Diagnosis {
    /// The verdict.
    pub kind: Kind,
    /// What could not be told apart, each with what would decide.
    pub candidates: Vec<Candidate>,
    /// The figures that decided it.
    pub evidence: Vec<String>,
    /// How many streams are served at once, if that is what limits.
    pub inferred_capacity: Option<u64>,
}

/// A possible cause that was not ruled out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// The cause.
    pub kind: Kind,
    /// The observation that would decide.
    pub decided_by: String,
}

/// The failures that the lab can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it, and docs explain each")]
pub enum Kind {
    Healthy,
    BlockingPoolExhausted,
    EventLoopBlocked,
    CpuSaturated,
    BulkheadFull,
    UpstreamLimit,
    ConnectionLeak,
    UpstreamSlow,
    GeneratorLimited,
    Undecided,
}

names!(Kind {
    Healthy = "healthy",
    BlockingPoolExhausted = "blocking_pool_exhausted",
    EventLoopBlocked = "event_loop_blocked",
    CpuSaturated = "cpu_saturated",
    BulkheadFull = "bulkhead_full",
    UpstreamLimit = "upstream_limit",
    ConnectionLeak = "connection_leak",
    UpstreamSlow = "upstream_slow",
    GeneratorLimited = "generator_limited",
    Undecided = "undecided",
});
