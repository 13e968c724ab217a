use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::step::Step;

/// A service that is not one of the lab's own, and what was found of it from outside. No secret is in
/// it: values of headers and of parameters that may be one are left out.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attach {
    /// What was asked for streams.
    pub stream: String,
    /// How.
    pub method: String,
    /// Health checks by name.
    pub health: BTreeMap<String, String>,
    /// The document that tells how many streams the upstream has open, if one was given.
    pub upstream_stats: Option<String>,
    /// Whether the server's process is known, by its number or because the lab started it.
    pub has_pid: bool,
    /// The command that started it, if the lab did.
    pub command: Option<Vec<String>>,
    /// Streams that the upstream had open before the load, if known.
    pub upstream_open_before: Option<u64>,
    /// Share of the requests that were the lab's own health checks, in percent.
    #[serde(default)]
    pub checks_percent: Option<f64>,
    /// Streams at once that the service serves, if more were asked for.
    pub capacity: Option<Capacity>,
    /// After all clients had hung up: as many streams as had been served at once, afresh.
    pub after_hang_up: Option<Step>,
}

/// How many streams are served at once, and how sure that is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Capacity {
    /// Streams.
    pub streams: u64,
    /// Steps in which just so many were served.
    pub seen_in: u64,
    /// Steps in which more were asked for.
    pub of: u64,
    /// Both in a sentence.
    pub confidence: String,
}
