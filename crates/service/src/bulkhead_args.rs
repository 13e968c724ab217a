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

    /// Threads for background tasks that block
    #[arg(long, env = "BACKGROUND_THREADS", default_value_t = 40, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub background_threads: u32,

    // Four tasks a thread: the longest wait, and the whole drain, is as long as four tasks and one.
    /// Background tasks that may wait for such a thread; the next is not accepted
    #[arg(long, env = "BACKGROUND_QUEUE", default_value_t = 160, value_name = "N", value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub background_queue: u32,

    /// Background tasks that only await, at most; the next is not accepted
    #[arg(long, env = "BACKGROUND_TASKS", default_value_t = 4096, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub background_tasks: u32,
}
