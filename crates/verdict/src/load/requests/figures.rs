use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::summary::Probe;

/// A class of requests of the load. The outcomes and `unanswered` sum to `due`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct RequestFigures {
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

/// Little's law for a closed loop: X·(R + Z) = N. If a row misses it by more than 15 %, answers are
/// missing from the row, or the row is not in its steady state.
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
    /// W: mean number of users who wait in the hold, including those who wait in vain.
    pub waiting: f64,
    /// W/X: the waiting time of all users for each answer. This is the R that meets the law.
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
