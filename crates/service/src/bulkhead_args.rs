use std::time::Duration;

use clap::Args;

use crate::duration;

/// The flags of bulkheads. The broken server has the same, and uses none but the pool that is shared
/// by all.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Bulkheads (of the fixed server)")]
pub struct BulkheadArgs {
    /// Blocking jobs that may wait while all threads of their bulkhead are busy; the next is refused with 503
    /// [default: as many as --pool-threads, which is the size of such a bulkhead]
    #[arg(long, env = "BULKHEAD_QUEUE", value_name = "N", value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub queue: Option<u32>,

    /// How long work is backed up before /readyz is 503, and at ease before it is 200 again
    #[arg(long, env = "READINESS_HOLD", default_value = "1s", value_name = "TIME", value_parser = duration)]
    pub readiness_hold: Duration,
}
