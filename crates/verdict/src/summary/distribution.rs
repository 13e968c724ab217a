use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::time_or_bound;

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

impl Distribution {
    /// Of fewer values than this the p99 is the maximum.
    pub const LEAST_FOR_P99: u64 = 100;

    /// The p99 for people, or the maximum and of how many where these are too few for a p99.
    #[must_use]
    pub fn p99_or_max(&self) -> String {
        let what = match self.count {
            count @ 1..Self::LEAST_FOR_P99 => format!("max of {count}"),
            _ => "p99".to_owned(),
        };
        format!("{what} {}", time_or_bound(self.p99, self.p99_censored))
    }
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
