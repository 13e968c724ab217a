use serde::{Deserialize, Serialize};

use crate::fault::FaultTally;
use crate::histogram::TimesSummary;
use crate::ledger::Tally;

/// The answer to `GET /stats`: integers, with the unit in the name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// The ledger's counts.
    #[serde(flatten)]
    pub tally: Tally,
    /// How late tokens left, against their schedule.
    pub lateness_us: TimesSummary,
    /// How long requests were in the queue, also those that did not have to wait or gave up. Empty as long
    /// as there is no limit on running streams.
    pub queue_us: TimesSummary,
    /// What was done on purpose.
    pub faults: FaultTally,
    /// Connections open now, this one included.
    pub connections: u64,
    /// The seed of all that is drawn.
    pub seed: u64,
}
