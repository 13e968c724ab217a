use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::diagnosis::Diagnosis;
use super::phase::Recovery;
use super::quality::Quality;
use crate::load::LoadPhase;

/// One step of a cell: a load of its own, in the same processes as the others.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Name, which metrics use: `steps.<name>.<metric>`.
    pub name: String,
    /// Streams that were asked for at once, if the load has any.
    pub streams: Option<u64>,
    /// What was done before its load began.
    pub action: Option<Action>,
    /// Under load. Its `probes` are those of the hold.
    pub load: LoadPhase,
    /// From the end of its load to the next step, or to the end of the cell.
    pub recovery: Recovery,
    /// The most streams that were receiving at once for a twentieth of the hold.
    #[serde(default)]
    pub served_at_once: u64,
    /// For how long streams were receiving in the hold, summed over all streams.
    #[serde(default)]
    pub receiving_us: u64,
    /// CPU of the server in the hold, in percent of one core, if known.
    pub cpu_percent: Option<f64>,
    /// Share of the time in which the server's threads wanted to run that they had no core, in percent,
    /// if known.
    #[serde(default)]
    pub core_wait_percent: Option<f64>,
    /// Most threads of the server by the end of the step, if known.
    #[serde(default)]
    pub threads_peak: Option<u64>,
    /// CPU of the whole machine in the hold, in percent of all cores, if known.
    pub host_cpu_percent: Option<f64>,
    /// Streams that the upstream had open at the last look before the next step, if known.
    pub upstream_open_after: Option<u64>,
    /// Whether its measurement can be trusted.
    pub quality: Quality,
    /// What fails in it, and the evidence.
    pub diagnosis: Diagnosis,
}

/// A request to the server under test before a step.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// Method and path.
    pub request: String,
    /// Status of the answer.
    pub status: u16,
    /// From the start of the cell's clock to the answer.
    pub at_us: u64,
}
