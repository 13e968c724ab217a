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
    /// Whether the server's process is known: by its number, because the lab started it, or because it
    /// listens at the stream's port of this machine.
    pub has_pid: bool,
    /// What it runs on, by its command line, if that was recognised: a name in the table of frameworks.
    #[serde(default)]
    pub framework: Option<String>,
    /// The command that started it, if the lab did.
    pub command: Option<Vec<String>>,
    /// What the one stream before the baseline was answered.
    #[serde(default)]
    pub first_look: Option<FirstLook>,
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

/// The answer to the stream that was asked for before anything was measured. It warms the service up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstLook {
    /// From the request to the first piece of content, in microseconds.
    pub ttft_us: u64,
    /// From the request to the end, in microseconds, if the stream was read to its end.
    pub took_us: Option<u64>,
    /// Pieces of content that were read.
    pub chunks: u64,
    /// Whether the lab hung up before the end. A service that does not notice may hold the stream for
    /// nobody.
    pub held: bool,
    /// Whether several pieces came all at once after a wait: something on the way buffers them.
    pub buffered: bool,
    /// The `Server` header of the stream's answer.
    pub server: Option<String>,
    /// That of the first health check's answer.
    pub health_server: Option<String>,
}

impl FirstLook {
    /// The `Server` header of the stream's answer, or of the health check's.
    #[must_use]
    pub fn answered_by(&self) -> Option<&str> {
        self.server.as_deref().or(self.health_server.as_deref())
    }
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
