use serde::{Deserialize, Serialize};

use crate::lateness::LatenessSummary;
use crate::ledger::Tally;

/// What `GET /stats` says; integers, with the unit in the name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// The ledger's counts.
    #[serde(flatten)]
    pub tally: Tally,
    /// How late tokens left, against their schedule.
    pub lateness_us: LatenessSummary,
    /// Connections open now, this one included.
    pub connections: u64,
    /// The seed of all that is drawn.
    pub seed: u64,
}
