//! The shape of `summary.json` and `index.json`: what a run leaves for people and for programs.
//!
//! Integers carry their unit in the name. A figure that was not measured is absent or `null`, never 0.

mod attach;
mod diagnosis;
mod distribution;
mod forecast;
mod phase;
mod process;
mod quality;
mod step;

use std::collections::BTreeMap;

use crate::names::names;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::load::LoadPhase;
pub use crate::load::hang_ups::{HangUpFigures, Leftovers, StageFigures};
pub use crate::load::kubelet::{EndCause, Kill, KubeletFigures, ProbeCount, Readiness};
pub use crate::load::requests::{Little, Loop, RequestFigures};
pub use crate::load::streams::StreamFigures;
pub use attach::{Attach, Capacity, FirstLook};
pub use diagnosis::{Candidate, Diagnosis, Family, Kind, Member};
pub use distribution::{Distribution, Lateness};
pub use forecast::{Bound, Forecast, Unit, Verdict};
pub use phase::{Phase, Probe, Recovery, probe_rank};
pub use process::{Background, Bulkhead, Pool, Process, Timing};
pub use quality::Quality;
pub use step::{Action, Step};

/// Version of this shape.
pub const SCHEMA: u32 = 1;

/// Everything about one cell.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Version of this shape; 1.
    pub schema: u32,
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the variant.
    pub variant: String,
    /// Name of the cell, as in the scenario.
    pub cell: String,
    /// Which repeat of the cell this is, from 1.
    pub repeat: u32,
    /// How far the cell came.
    pub state: State,
    /// Why it did not come to its end, in a sentence.
    pub failure: Option<String>,
    /// The cell's parameters by name.
    pub parameters: BTreeMap<String, u64>,
    /// UTC, RFC 3339.
    pub started_at: String,
    /// Version of the lab.
    pub lab_version: String,
    /// Last commit that changed the code of the lab and the servers; `-dirty` if they differ from it.
    pub git_commit: String,
    /// The machine.
    pub host: Host,
    /// The command line that started the run.
    pub command: String,
    /// What was measured, by phase; of a cell with steps, `load` is that of the last one.
    pub phases: Phases,
    /// The steps of a cell that has any, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// What a closed-loop probe that drops timeouts would have reported for the same run.
    pub closed_loop: BTreeMap<String, ClosedLoop>,
    /// The server under test.
    pub server: Process,
    /// The upstream.
    pub upstream: Upstream,
    /// The service, if it is not one of the lab's own, and what was found of it from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attach: Option<Attach>,
    /// What clients that hung up left behind, some seconds after the last of them.
    #[serde(default)]
    pub leftovers: Option<Leftovers>,
    /// The kubelet, if the cell has one.
    pub kubelet: Option<KubeletFigures>,
    /// What was predicted before the run, and how far off it was.
    pub forecast: Vec<Forecast>,
    /// Whether the measurement can be trusted.
    pub quality: Quality,
    /// What fails, and the evidence.
    pub diagnosis: Diagnosis,
    /// What had to hold, and whether it did.
    pub expectations: Vec<Outcome>,
    /// What others reported of their systems, judged by this run.
    #[serde(default)]
    pub claims: Vec<Claim>,
}

/// How far a cell or a run came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Still under way, or its lab was killed: what stands here is what had been recorded.
    Running,
    /// Came to its end.
    Complete,
    /// Stopped by a signal.
    Interrupted,
    /// A process or the environment failed.
    Failed,
}

/// The machine a run was made on.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Operating system and kernel release.
    pub os: String,
    /// Model of the processor, if known.
    pub cpu: Option<String>,
    /// Logical processors.
    pub cores: u64,
    /// Memory, if known.
    pub memory_bytes: Option<u64>,
    /// Soft limit on open files during the run.
    pub open_files_limit: u64,
}

/// The phases of a cell.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Phases {
    /// Probe only.
    pub baseline: Phase,
    /// Under load. Its `probes` are those of the hold, on which limits and expectations are.
    pub load: LoadPhase,
    /// After the load.
    pub recovery: Recovery,
}

/// What a closed-loop probe would have reported: one check at a time, the next one only after the
/// last was answered, timeouts dropped, latency counted from when it was sent.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClosedLoop {
    /// Checks it would have sent.
    pub sent: u64,
    /// Those that failed and would have been dropped from its percentiles.
    pub dropped: u64,
    /// Its figures, over those that were answered.
    pub service_us: Distribution,
    /// The same time, open loop and with nothing dropped.
    pub open_loop_us: Distribution,
    /// Share of all checks that were not answered with success.
    pub open_loop_unanswered_percent: Option<f64>,
}

/// The upstream, by its own ledger.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// The process.
    pub process: Process,
    /// Its ledger; `null` if it could not be read.
    pub ledger: Option<Ledger>,
}

/// The upstream's ledger at the end of a cell.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// Streams it accepted.
    pub started: u64,
    /// Streams it sent to the end.
    pub completed: u64,
    /// Streams it ended with an error.
    pub errored: u64,
    /// Streams whose client went away.
    pub aborted: u64,
    /// Streams still open when the cell ended.
    pub open: u64,
    /// Most streams open at once.
    pub open_peak: u64,
    /// How late it sent its chunks, against its own schedule.
    pub lateness_us: Lateness,
}

/// An expectation after the run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The metric.
    pub name: String,
    /// Operator and value.
    pub expected: String,
    /// What was measured, or `not measured`.
    pub measured: String,
    /// Whether it held. What was not measured does not hold.
    pub held: bool,
}

/// A figure that others reported of their system, beside this run's own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The metric.
    pub metric: String,
    /// What was reported.
    pub reported: String,
    /// What this run shows; `null` if it was not measured.
    pub measured: Option<String>,
    /// How the two are related; `null` if it was not measured.
    pub verdict: Option<ClaimVerdict>,
    /// The figures that decide it.
    pub because: String,
}

/// How a reported figure is related to this lab's own run of the same row.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ClaimVerdict {
    /// Within 15 %.
    Agrees,
    /// What one sees on the way to the steady state, which is another figure.
    Transient,
    /// It leaves out those who were not answered, or who would have asked meanwhile.
    Censored,
    /// None of these.
    Disagrees,
}

names!(ClaimVerdict {
    Agrees = "agrees",
    Transient = "transient",
    Censored = "censored",
    Disagrees = "disagrees",
});

/// The shape of `index.json`: a run and its cells.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// Version of this shape; 1.
    pub schema: u32,
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the variant.
    pub variant: String,
    /// UTC, RFC 3339.
    pub started_at: String,
    /// How far the run came.
    pub state: State,
    /// The lab that makes or made it, so that one can tell whether it is still under way.
    pub lab: LabProcess,
    /// In the order they were run.
    pub cells: Vec<IndexCell>,
}

/// The process that makes a run.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabProcess {
    /// Its process number.
    pub pid: u32,
    /// When it started, in the kernel's ticks, so that a reused number is noticed; `null` if unknown.
    pub started_ticks: Option<u64>,
}

/// A cell in the index, with its key figures.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexCell {
    /// Folder below `cells/`.
    pub name: String,
    /// How far it came.
    pub state: State,
    /// Whether its figures may be used.
    pub valid: bool,
    /// The verdict.
    pub diagnosis: Kind,
    /// Most streams served at once.
    pub served_peak: Option<u64>,
    /// By name of the endpoint: p99 in the hold, all outcomes.
    pub health_p99_us: BTreeMap<String, Option<u64>>,
    /// By name of the endpoint: share not answered in the hold.
    pub unanswered_percent: BTreeMap<String, Option<f64>>,
    /// What had to hold, and whether it did.
    pub expectations: Vec<Outcome>,
}
