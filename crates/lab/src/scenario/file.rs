//! The shape of a scenario file. Every key that a cell may override is optional here; what is
//! missing after the override is reported by [`super::resolve`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Expectation, Model, Time};

/// A scenario file, as written.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Version of this shape; 1.
    pub schema: u32,
    /// Name of the scenario, and of the failure's source file in both servers.
    pub name: String,
    /// One line for `lab list`.
    pub title: String,
    /// What the experiment shows and how it is set up.
    #[serde(default)]
    pub about: String,
    /// Of everything random; 0 if absent.
    #[serde(default)]
    pub seed: u64,
    #[serde(default)]
    pub server: Server,
    #[serde(default)]
    pub load: Load,
    #[serde(default)]
    pub probe: Probe,
    #[serde(default)]
    pub phases: Phases,
    /// What is run against what: at least one.
    pub variant: Vec<Variant>,
    /// What is run one after the other, each with fresh processes: at least one.
    pub cell: Vec<Cell>,
    /// What must hold.
    #[serde(default)]
    pub expect: Vec<Expect>,
}

/// Flags of the server under test.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    pub pool_threads: Option<u32>,
    pub worker_threads: Option<u32>,
}

/// What is asked of the server.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    pub streams: Option<Streams>,
}

/// A load of slow streams, all of one length.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Streams {
    /// How many, each on a connection of its own.
    pub count: Option<u32>,
    /// Route that is asked for a stream.
    pub path: Option<String>,
    /// Over how long a time they start, evenly spread.
    pub ramp: Option<Time>,
    /// From the upstream's receiving a request to the first chunk.
    pub ttft: Option<Time>,
    /// Between two chunks.
    pub interval: Option<Time>,
    /// From the first chunk to the last; what is longer than the load is ended with it.
    pub length: Option<Time>,
    /// Padding in each chunk.
    pub bytes: Option<u32>,
    /// A stream that is silent for longer at the end of the load counts as stalled.
    pub stall_after: Option<Time>,
}

/// The health checks, open loop.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Checks a second, for each endpoint.
    pub rate: Option<f64>,
    /// A check that is not answered in this time after it was due has failed.
    pub timeout: Option<Time>,
    /// Checks on kept connections instead of a fresh one each; false if absent.
    pub keep_alive: Option<bool>,
    /// Name to path.
    pub endpoints: Option<BTreeMap<String, String>>,
}

/// How long each phase takes.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Phases {
    /// Probe only, before the load.
    pub baseline: Option<Time>,
    /// All streams started; what is judged.
    pub hold: Option<Time>,
    /// After the load, at most; it ends when health is back to baseline.
    pub recovery: Option<Time>,
}

/// One server, or one way to run it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    pub name: String,
    /// Name of the binary, beside the lab's own.
    pub server: String,
    /// Further flags of the server.
    #[serde(default)]
    pub args: Vec<String>,
    /// What holds a stream, for the forecast.
    pub model: Model,
}

/// One setting; keys override those of the file.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    pub name: String,
    /// Run with `--quick`, and only then.
    #[serde(default)]
    pub quick: bool,
    #[serde(default)]
    pub server: Server,
    #[serde(default)]
    pub load: Load,
    #[serde(default)]
    pub probe: Probe,
    #[serde(default)]
    pub phases: Phases,
}

/// Expectations of one variant.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    pub variant: String,
    /// Names of cells; all of them if absent.
    pub cells: Option<Vec<String>>,
    /// Each `<metric> <operator> <value>`.
    pub that: Vec<Expectation>,
}
