use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::summary::Distribution;

/// What became of the streams. Those that were started sum to complete, truncated, error, stalled,
/// refused, cancelled and unserved.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamFigures {
    /// Asked for.
    pub started: u64,
    /// Terminal marker seen and every numbered chunk present, in order.
    pub complete: u64,
    /// Ended without the terminal marker, or with a chunk missing or out of order.
    pub truncated: u64,
    /// Ended with an error event.
    pub error: u64,
    /// Served at first, then silent for longer than the limit at the end of the load.
    pub stalled: u64,
    /// Answered with an error status, or no connection.
    pub refused: u64,
    /// Those of them whose answer told of a quota: a header that begins with `ratelimit` or
    /// `x-ratelimit`.
    #[serde(default)]
    pub quota: u64,
    /// Flowing when the driver ended it with the load.
    pub cancelled: u64,
    /// Not a byte by the end of the load.
    pub unserved: u64,
    /// Most streams that the driver had open at once.
    pub open_peak: u64,
    /// Most streams that the upstream had open at once, by its own count; in a step, by looks at it.
    pub served_peak: Option<u64>,
    /// Most streams that had received a chunk and not ended, at one time.
    #[serde(default)]
    pub receiving_peak: u64,
    /// Open at the end, or when a step that streams outlast was over.
    #[serde(default)]
    pub open: u64,
    /// Those of them that had not received a byte.
    #[serde(default)]
    pub waiting: u64,
    /// How old those were, and those that are unserved.
    #[serde(default)]
    pub waited_us: Distribution,
    /// From when a stream was due until it was refused.
    #[serde(default)]
    pub refused_us: Distribution,
    /// Longest time in the hold in which no stream received anything, though some were being served.
    #[serde(default)]
    pub silence_us: u64,
    /// From when a stream was due to its end, of those that came to their end.
    #[serde(default)]
    pub took_us: Distribution,
    /// Answers by status.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub statuses: BTreeMap<String, u64>,
    /// Those streams whose answers named a cohort, by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cohorts: BTreeMap<String, StreamFigures>,
    /// Chunks received.
    pub chunks: u64,
    /// Chunks that were missing, twice there or out of order.
    pub sequence_errors: u64,
    /// From when a stream was due to the head of its answer, of those that got one.
    pub ttfb_us: Distribution,
    /// From when a stream was due to its first chunk. A stream without a chunk counts as censored: at its
    /// age, or, if it was refused or broke off, at the length of the load.
    pub ttft_us: Distribution,
    /// The same of those alone that received a chunk.
    #[serde(default)]
    pub first_chunk_us: Distribution,
    /// Every gap between two chunks. For an open stream, also the gap since its last chunk.
    pub gap_us: Distribution,
    /// The largest gap of each stream.
    pub max_gap_us: Distribution,
}
