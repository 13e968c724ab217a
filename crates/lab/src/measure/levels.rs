//! Reads what a server holds, before a load and after it.

use std::time::Duration;

use verdict::record::Levels;

use super::Sources;
use super::resources::sample;

/// Looks whose smallest figures count: what is there all the time, and not the health checks that
/// happen to be under way.
const LOOKS: u32 = 20;

/// Time between two looks.
const EVERY: Duration = Duration::from_millis(10);

/// How long it takes to read the levels, when every answer comes at once.
pub const LEVELS_TAKE: Duration = Duration::from_millis(300);

/// Reads what the server holds.
///
/// # Cancel safety
/// Safe: nothing is changed.
pub async fn read_levels(sources: &Sources) -> Levels {
    let mut least = look(sources).await;
    for _ in 1..LOOKS {
        tokio::time::sleep(EVERY).await;
        least = least.least(look(sources).await);
    }
    least
}

async fn look(sources: &Sources) -> Levels {
    let gauges = sources.gauges().await;
    let upstreams = sources.stats_of_all().await;
    let fds = sources
        .pids
        .server
        .get()
        .and_then(sample)
        .map(|server| server.fds);
    Levels::seen(gauges, upstreams.as_deref(), fds)
}
