use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::distribution::Lateness;
use super::process::Process;

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
