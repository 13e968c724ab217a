use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::distribution::Distribution;

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
    /// Not sent, because too many checks of the endpoint were in flight; only at a target.
    #[serde(default)]
    pub withheld: u64,
    /// Counted from when a check was due.
    pub timeout_us: u64,
    /// From due to done, all outcomes. What is not ok enters at no less than the timeout, and what was
    /// withheld at the age of the oldest check that waits.
    pub response_us: Distribution,
    /// From due to done, ok only.
    pub response_ok_us: Distribution,
    /// From sent to done, all outcomes but withheld, likewise.
    pub service_us: Distribution,
}

impl Probe {
    /// Checks that ended in a failure. One that was withheld is not among them, because it was not asked.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.due.saturating_sub(self.ok + self.withheld)
    }

    /// Share of the checks that were not answered with success, in percent.
    #[must_use]
    pub fn unanswered_percent(&self) -> Option<f64> {
        (self.due > 0).then(|| 100.0 * (self.due - self.ok) as f64 / self.due as f64)
    }
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
