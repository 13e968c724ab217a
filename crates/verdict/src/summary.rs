//! The shape of `summary.json` and `index.json`: what a run leaves for people and for programs.
//!
//! Integers carry their unit in the name. A figure that was not measured is absent or `null`, never 0.

mod attach;
mod kubelet;
mod step;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use attach::{Attach, Capacity};
pub use kubelet::{EndCause, Kill, Kubelet, ProbeCount, Readiness};
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
    /// Commit that the lab was built from; `-dirty` if the tree had changes.
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
    pub kubelet: Option<Kubelet>,
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

/// A phase with nothing but the probe.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// From the start of the cell's clock.
    pub started_us: u64,
    /// Length.
    pub duration_us: u64,
    /// By name of the endpoint.
    pub probes: BTreeMap<String, Probe>,
}

/// The phase under load.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadPhase {
    /// Start of the ramp, from the start of the cell's clock.
    pub started_us: u64,
    /// Ramp, hold and tail together.
    pub duration_us: u64,
    /// While the load builds up.
    pub ramp: Phase,
    /// The hold: by name of the endpoint.
    pub probes: BTreeMap<String, Probe>,
    /// Start of the hold.
    pub hold_started_us: u64,
    /// Length of the hold.
    pub hold_us: u64,
    /// After the hold the load goes on until every check that was due in the hold has its outcome, so
    /// that none is answered because the load ended.
    pub tail: Phase,
    /// The streams.
    pub streams: Streams,
    /// Requests of the load, by class: those that were due in ramp and hold.
    pub requests: BTreeMap<String, Requests>,
    /// Clients that hang up.
    #[serde(default)]
    pub hang_ups: Option<HangUps>,
}

/// The phase after the load.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    /// From the start of the cell's clock.
    pub started_us: u64,
    /// Length.
    pub duration_us: u64,
    /// By name of the endpoint.
    pub probes: BTreeMap<String, Probe>,
    /// From the end of the load to the first second in which 95 % of the checks of every endpoint
    /// were answered within the bound of "flat"; `null` if that did not come.
    pub time_to_recover_us: Option<u64>,
}

/// The checks of one endpoint in one phase. The outcomes sum to `due`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Checks that the plan had in this phase.
    pub due: u64,
    /// Answered with a status from 200 to 399.
    pub ok: u64,
    /// Answered with another status.
    pub bad_status: u64,
    /// Not answered within the timeout.
    pub timeout: u64,
    /// No connection.
    pub connect_failure: u64,
    /// The connection ended before the answer did.
    pub aborted: u64,
    /// The probe itself could not send: no port, no file.
    pub not_sent: u64,
    /// Counted from when a check was due.
    pub timeout_us: u64,
    /// From due to done, all outcomes; what is not ok enters at no less than the timeout.
    pub response_us: Distribution,
    /// From due to done, ok only.
    pub response_ok_us: Distribution,
    /// From sent to done, all outcomes, likewise.
    pub service_us: Distribution,
}

/// A class of requests of the load. The outcomes and `unanswered` sum to `due`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct Requests {
    /// What became of them, and how long it took from when each was due.
    #[serde(flatten)]
    pub outcomes: Probe,
    /// In flight when the load ended; each enters `response_us` at its age.
    pub unanswered: u64,
    /// Whether requests come by a plan or after the answer to the one before.
    pub arrivals: Loop,
    /// The route, without its parameters.
    pub path: String,
    /// Users of a closed loop.
    pub users: Option<u64>,
    /// Requests a second of an open loop.
    pub offered_per_second: Option<f64>,
    /// Mean time that a user thinks between an answer and the next request.
    pub think_us: u64,
    /// Answers by status.
    pub statuses: BTreeMap<String, u64>,
    /// Answered with success in ramp and hold, whenever they were due.
    pub completed: u64,
    /// `completed` over the length of ramp and hold.
    pub throughput_per_second: Option<f64>,
    /// `completed`, second by second.
    pub completed_by_second: Vec<u64>,
    /// Little's law over the hold; of a closed loop.
    pub little: Option<Little>,
}

/// Whether a load waits for answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Loop {
    /// By a plan, whatever became of the requests before.
    Open,
    /// Each user after the answer to its last request.
    Closed,
}

/// Little's law for a closed loop: X·(R + Z) = N. A row that misses it by more than 15 % is no steady
/// state: answers are missing from it, or it is a transient.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Little {
    /// X: answers a second in the hold.
    pub throughput_per_second: f64,
    /// R: mean response time of what was answered in the hold.
    pub response_us: u64,
    /// Z: mean think time.
    pub think_us: u64,
    /// N: users.
    pub users: u64,
    /// X·(R + Z).
    pub product: f64,
    /// 100·(X·(R + Z) − N)/N.
    pub error_percent: f64,
    /// W: mean number of users who wait in the hold, those included who wait in vain.
    pub waiting: f64,
    /// W/X: what users wait for each answer, in all. This is the R that meets the law.
    pub whole_response_us: u64,
    /// 100·(W + Z·(requests a second that ended) − N)/N: how well the run itself meets the law.
    pub whole_error_percent: f64,
}

impl Little {
    /// A row that misses the law by more than this, in percent, is no steady state.
    pub const LIMIT_PERCENT: f64 = 15.0;

    /// Whether answers are missing from the row, or it is a transient.
    #[must_use]
    pub fn is_missed(&self) -> bool {
        self.error_percent.abs() > Self::LIMIT_PERCENT
    }
}

/// A row of requests whose clients hang up. The endings sum to `sent`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HangUps {
    /// Requests that the plan had.
    pub planned: u64,
    /// Requests whose turn came: no further ones when enough had hung.
    pub sent: u64,
    /// Whether the row came to its end.
    pub is_over: bool,
    /// Attempts whose answer was over before the client could leave where it was to; each was made
    /// again.
    pub tried_again: u64,
    /// By name: `hung_up`, `completed`, `broken`, `hanging`, `refused`, `failed`, `missed`, `not_sent`,
    /// `cut`.
    pub endings: BTreeMap<String, u64>,
    /// Answers by status.
    pub statuses: BTreeMap<String, u64>,
    /// Requests that got to the stage that was planned for them.
    pub reached: u64,
    /// From the sending of a request to the head of its answer, of those that got one.
    pub first_byte_us: Distribution,
    /// Number in the row of the first request that was served nothing; `null` if none hung.
    pub first_hanging: Option<u64>,
    /// Requests sent after that one.
    pub tried_after_first_hanging: Option<u64>,
    /// Those of them that were served.
    pub served_after_first_hanging: Option<u64>,
    /// From the hang-up to the release by the upstream, by its ledger. A stream that it still had at
    /// the end enters censored. `null` if the ledger was not read.
    pub release_us: Option<Distribution>,
    /// Streams that the upstream still had.
    pub not_released: Option<u64>,
    /// Requests that were served and are not in the ledger.
    pub unknown_to_upstream: Option<u64>,
    /// Streams that the upstream began when their client had given up.
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

/// What is there after a load and was not there before it; `null` if it could not be read.
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

/// The order in which endpoints are shown: the two that tell a pool from a loop first.
#[must_use]
pub fn probe_rank(name: &str) -> u8 {
    match name {
        "health_sync" => 0,
        "health_async" => 1,
        _ => 2,
    }
}

impl Probe {
    /// Share of the checks that were not answered with success, in percent.
    #[must_use]
    pub fn unanswered_percent(&self) -> Option<f64> {
        (self.due > 0).then(|| 100.0 * (self.due - self.ok) as f64 / self.due as f64)
    }
}

/// Figures of a distribution. A figure is `null` if nothing was measured; one that is marked
/// censored is a lower bound: the true value is at least that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Distribution {
    pub count: u64,
    pub min: Option<u64>,
    pub mean: Option<u64>,
    pub p50: Option<u64>,
    pub p90: Option<u64>,
    pub p95: Option<u64>,
    pub p99: Option<u64>,
    pub p999: Option<u64>,
    pub max: Option<u64>,
    pub p50_censored: bool,
    pub p90_censored: bool,
    pub p95_censored: bool,
    pub p99_censored: bool,
    pub p999_censored: bool,
    pub max_censored: bool,
}

/// What became of the streams. Those that were started sum to complete, truncated, error, stalled,
/// refused, cancelled and unserved.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Streams {
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
    /// From when a stream was due to its end, of those that came to their end.
    #[serde(default)]
    pub took_us: Distribution,
    /// Answers by status.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub statuses: BTreeMap<String, u64>,
    /// Those streams whose answers named a cohort, by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cohorts: BTreeMap<String, Streams>,
    /// Chunks received.
    pub chunks: u64,
    /// Chunks that were missing, twice there or out of order.
    pub sequence_errors: u64,
    /// From when a stream was due to the head of its answer, of those that got one.
    pub ttfb_us: Distribution,
    /// From when a stream was due to its first chunk. One that never got any enters censored: at its
    /// age, or if it was refused or broke off, at the length of the load.
    pub ttft_us: Distribution,
    /// Every gap between two chunks, and for a stream that is open the one since its last.
    pub gap_us: Distribution,
    /// The largest gap of each stream.
    pub max_gap_us: Distribution,
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

/// A process of the run; `null` where the platform does not tell.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// Its process number.
    pub pid: Option<u32>,
    /// Largest resident memory.
    pub rss_peak_bytes: Option<u64>,
    /// Resident memory at the end of the cell.
    pub rss_end_bytes: Option<u64>,
    /// CPU time over the whole cell.
    pub cpu_us: Option<u64>,
    /// CPU time in the hold, in percent of one core.
    pub cpu_percent: Option<f64>,
    /// Most threads at once.
    pub threads_peak: Option<u64>,
    /// Most open files at once.
    pub fds_peak: Option<u64>,
    /// Its blocking pool, if it has gauges.
    pub pool: Option<Pool>,
    /// Its bulkhead, if it has gauges of one.
    pub bulkhead: Option<Bulkhead>,
    /// Longest lag of its event loop during the load, if it has gauges.
    pub loop_lag_us_peak: Option<u64>,
    /// Work that goes on after its response, if it has gauges.
    pub background: Option<Background>,
    /// How long the parts of a request took, by the server's own clock and by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub timings: BTreeMap<String, Timing>,
    /// How large the bodies of each client were: bucket to count.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sizes: BTreeMap<String, BTreeMap<String, u64>>,
}

/// Work that goes on after its response, by the server's own gauges.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Background {
    /// Accepted and not finished at the end of the load.
    pub pending_end: Option<u64>,
    /// The same a minute later, or when the cell ended.
    pub pending_later: Option<u64>,
    /// How much later that was.
    pub later_us: Option<u64>,
    /// Most pending that were seen.
    pub pending_peak: u64,
    /// Finished by the end of the cell.
    pub completed: u64,
    /// Refused by the end of the cell.
    pub refused: u64,
    /// From the end of the load until none is pending.
    pub drain_us: Option<u64>,
    /// Whether `drain_us` was not waited for: it follows from how fast the backlog shrank until then.
    pub drain_extrapolated: bool,
}

/// How long a part of a request took, over the whole cell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Timing {
    pub count: u64,
    pub mean_us: u64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
}

/// A blocking pool under load, by the server's own gauges.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Threads it may have.
    pub capacity: u64,
    /// Most threads busy at once.
    pub busy_peak: u64,
    /// Most jobs queued at once.
    pub queued_peak: u64,
    /// Longest that a job had waited in the queue.
    pub oldest_wait_us_peak: u64,
    /// Thread time in use during the hold, in percent of what the capacity allows.
    pub busy_percent: Option<f64>,
}

/// A bounded pool of its own for one class of work, by looks at the server's own gauges in the hold.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bulkhead {
    /// Threads it may have.
    pub capacity: u64,
    /// Places in its queue; `null` if nothing bounds it.
    pub queue_limit: Option<u64>,
    /// Most threads seen busy at once.
    pub busy_peak: u64,
    /// Most jobs seen queued at once.
    pub queued_peak: u64,
    /// Longest that a job was seen to have waited in the queue.
    pub oldest_wait_us_peak: u64,
    /// Jobs refused, over the whole cell.
    pub refused: u64,
    /// Jobs completed a second in the hold, whoever was still there to take the result.
    pub completed_per_second: Option<f64>,
    /// By how many jobs a second the queue grew in the hold.
    pub queue_growth_per_second: Option<f64>,
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

/// How late something was against its plan.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Lateness {
    pub count: u64,
    pub p50: u64,
    pub p99: u64,
    pub max: u64,
}

/// One prediction.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Forecast {
    /// Short name, which expectations use: `forecast.<name>.error`.
    pub name: String,
    /// The metric that it is compared with.
    #[serde(default)]
    pub metric: String,
    /// The law, with its numbers.
    pub formula: String,
    /// Unit of `predicted` and `measured`.
    pub unit: Unit,
    /// What the law says.
    pub predicted: f64,
    /// What the figure tends to in the long run, by a closed formula, if a run is too short for it.
    pub limit: Option<f64>,
    /// How the prediction is meant.
    pub bound: Bound,
    /// What the run says.
    pub measured: Option<f64>,
    /// Whether the measurement is a lower bound.
    pub measured_censored: bool,
    /// 100 · (measured − predicted) / predicted; `null` if one of them is a bound, or predicted is 0.
    pub error_percent: Option<f64>,
    /// What the run says of the prediction; `null` if it was not measured.
    pub verdict: Option<Verdict>,
}

/// How a prediction is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// This value, with an error.
    Exact,
    /// At least this, because a timeout cuts it off.
    AtLeast,
    /// At most this.
    AtMost,
}

/// What a run says of a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Both are values: `error_percent` tells how far apart.
    Measured,
    /// The measurement lies where the prediction has it.
    Within,
    /// The measurement contradicts the prediction.
    Refuted,
}

/// The unit of a forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Unit {
    Us,
    Count,
    Percent,
    PerSecond,
}

/// Whether the measurement can be trusted.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    /// Whether the figures may be used.
    pub valid: bool,
    /// Why not, with the figures, and what to do about it.
    pub reasons: Vec<String>,
    /// What does not invalidate the run but a reader should know.
    pub remarks: Vec<String>,
    /// How late the probe sent its checks in the hold.
    pub probe_dispatch_us: Lateness,
    /// How late the driver started its streams.
    pub load_dispatch_us: Lateness,
    /// How late the driver sent its requests, by class.
    #[serde(default)]
    pub requests_dispatch_us: BTreeMap<String, Lateness>,
    /// Share of the checks that the probe could not send.
    pub not_sent_percent: f64,
    /// The lab itself.
    pub lab: Process,
    /// CPU of the whole machine in the hold, in percent of all cores, if known.
    pub host_cpu_percent: Option<f64>,
    /// Soft limit on open files.
    pub open_files_limit: u64,
}

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

impl Kind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Healthy,
        Self::BlockingPoolExhausted,
        Self::EventLoopBlocked,
        Self::CpuSaturated,
        Self::BulkheadFull,
        Self::UpstreamLimit,
        Self::ConnectionLeak,
        Self::UpstreamSlow,
        Self::GeneratorLimited,
        Self::Undecided,
    ];

    /// As it stands in JSON and in scenario files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::BlockingPoolExhausted => "blocking_pool_exhausted",
            Self::EventLoopBlocked => "event_loop_blocked",
            Self::CpuSaturated => "cpu_saturated",
            Self::BulkheadFull => "bulkhead_full",
            Self::UpstreamLimit => "upstream_limit",
            Self::ConnectionLeak => "connection_leak",
            Self::UpstreamSlow => "upstream_slow",
            Self::GeneratorLimited => "generator_limited",
            Self::Undecided => "undecided",
        }
    }
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

impl ClaimVerdict {
    /// As it stands in JSON and in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Transient => "transient",
            Self::Censored => "censored",
            Self::Disagrees => "disagrees",
        }
    }
}

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
