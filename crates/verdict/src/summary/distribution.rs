use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
