use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the kubelet saw and did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KubeletFigures {
    /// How often the container was started again, over the whole cell.
    pub restarts: u64,
    /// From the start of the load until the first kill: the liveness probe had failed as often as it may.
    /// `null` if there was none.
    pub first_kill_us: Option<u64>,
    /// Such kills between the start of the load and the end of the hold.
    pub kills_in_load: u64,
    /// Every end of a container, over the whole cell; not the one with which the lab ends the cell.
    pub kills: Vec<Kill>,
    /// The liveness probe, over the whole cell.
    pub liveness: ProbeCount,
    /// The readiness probe.
    pub readiness: Readiness,
}

/// An end of a container. Instants are on the cell's clock.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kill {
    /// When the last of the failed probes had failed. If the container ended by itself, when it did.
    pub at_us: u64,
    /// Why it ended.
    pub cause: EndCause,
    /// Whether it outlasted its grace period, so that SIGKILL ended it.
    pub forced: bool,
    /// From SIGTERM to its end; `null` if it ended by itself.
    pub took_us: Option<u64>,
    /// When it had ended.
    pub ended_us: u64,
    /// How long the back-off had the next container wait.
    pub back_off_us: u64,
    /// From its end until the next container listened; `null` if none did.
    pub down_us: Option<u64>,
    /// Process number of the next container; `null` if there was none.
    pub next_pid: Option<u32>,
}

/// Why a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndCause {
    /// Its liveness probe failed.
    Liveness,
    /// By itself.
    Itself,
}

/// What became of the probes of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProbeCount {
    /// Probes that have an outcome.
    pub sent: u64,
    /// Those that were not answered with a status from 200 to 399 in time.
    pub failed: u64,
    /// Those of the failed that were not answered in time.
    pub timeout: u64,
    /// How late the lab sent the latest of them.
    pub late_us_max: u64,
}

/// Readiness. It is counted and reported. It holds no traffic back, because there is no other pod to send
/// the traffic to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Readiness {
    /// The probe, over the whole cell.
    pub probes: ProbeCount,
    /// How often the pod became ready, or was not any more, in ramp and hold.
    pub transitions: u64,
    /// How much of ramp and hold the pod was not ready: by its probe, or because it was down.
    pub unready_us: u64,
}
