//! What a server holds: read before a load and after it, the difference is what the load left behind.

use std::time::Duration;

use super::Sources;
use super::resources::sample;
use crate::summary::Leftovers;

/// Looks whose smallest figures count: what is there all the time, and not the health checks that
/// happen to be under way.
const LOOKS: u32 = 20;

/// Time between two looks.
const EVERY: Duration = Duration::from_millis(10);

/// How long it takes to read the levels, when every answer comes at once.
pub const LEVELS_TAKE: Duration = Duration::from_millis(300);

/// What a server holds. A figure that cannot be read is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// Permits in use, of the relay that has hang-ups to deal with.
    pub permits: Option<i64>,
    /// Threads of its blocking pool that are busy.
    pub threads_busy: Option<i64>,
    /// Tasks of its runtime, without those of connections that are kept for later.
    pub tasks: Option<i64>,
    /// Connections of its clients.
    pub connections: Option<i64>,
    /// Open files, without those of connections to the upstream that are kept for later.
    pub fds: Option<i64>,
}

impl Levels {
    /// Reads them, of a server that has at most `max_upstream` requests to an upstream at once.
    ///
    /// # Cancel safety
    /// Safe: nothing is changed.
    pub async fn read(sources: &Sources, max_upstream: Option<u32>) -> Self {
        let mut least = Self::look(sources, max_upstream).await;
        for _ in 1..LOOKS {
            tokio::time::sleep(EVERY).await;
            least = least.least(Self::look(sources, max_upstream).await);
        }
        least
    }

    async fn look(sources: &Sources, max_upstream: Option<u32>) -> Self {
        let gauges = sources.gauges().await;
        let idle = sources.idle_connections().await;
        // A connection that is kept costs the server a file and a task, and is no leak. Where the
        // upstream does not tell, they stay in the figure, which can only make it too large.
        let kept = idle.map_or(0, |idle| kept(&idle, max_upstream));
        let gauges = gauges.unwrap_or_default();
        let relay = gauges.disconnect.or(gauges.relay);
        let level = |level: u64| i64::try_from(level).unwrap_or(i64::MAX);
        Self {
            permits: relay.map(|relay| level(relay.permits_in_use)),
            threads_busy: gauges.pool.map(|pool| level(pool.busy)),
            tasks: gauges.tasks_alive.map(|tasks| level(tasks) - kept),
            connections: gauges.connections.map(level),
            fds: sources
                .pids
                .server
                .get()
                .and_then(sample)
                .map(|server| level(server.fds) - kept),
        }
    }

    fn least(self, other: Self) -> Self {
        let least = |a: Option<i64>, b: Option<i64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self {
            permits: least(self.permits, other.permits),
            threads_busy: least(self.threads_busy, other.threads_busy),
            tasks: least(self.tasks, other.tasks),
            connections: least(self.connections, other.connections),
            fds: least(self.fds, other.fds),
        }
    }

    /// What is there now and was not `before`; the upstream's streams come from its ledger.
    #[must_use]
    pub fn left_over(&self, before: &Self, upstream_streams: Option<u64>) -> Leftovers {
        let more = |after: Option<i64>, before: Option<i64>| {
            Some(u64::try_from(after? - before?).unwrap_or(0))
        };
        Leftovers {
            upstream_streams,
            permits: more(self.permits, before.permits),
            threads_busy: more(self.threads_busy, before.threads_busy),
            tasks: more(self.tasks, before.tasks),
            connections: more(self.connections, before.connections),
            fds: more(self.fds, before.fds),
        }
    }
}

/// How many of the `idle` connections of each upstream are kept for later: no more than ever were in use
/// at once. Any further ones are left over.
fn kept(idle: &[u64], max_upstream: Option<u32>) -> i64 {
    // One of each is the lab's own.
    let most = max_upstream.map_or(u64::MAX, |permits| u64::from(permits) + 1);
    let kept = idle.iter().map(|&idle| idle.min(most));
    i64::try_from(kept.fold(0, u64::saturating_add)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_were_never_in_use_at_once_are_left_over_and_not_kept() {
        let levels = |fds: i64, idle: &[u64]| {
            let level = Some(fds - kept(idle, Some(64)));
            Levels {
                fds: level,
                tasks: level,
                ..Levels::default()
            }
        };
        let left = |fds, idle: &[u64]| {
            let left = levels(fds, idle).left_over(&levels(20, &[1, 1]), Some(0));
            (left.fds, left.tasks)
        };
        // Files of a server with as many connections to its upstreams as these have, the lab's aside.
        assert_eq!(left(20 + 64, &[65, 1]), (Some(0), Some(0)), "kept");
        assert_eq!(left(20 + 128, &[65, 65]), (Some(0), Some(0)), "of both");
        let dead = Some(10_000 - 64);
        assert_eq!(left(20 + 10_000, &[10_001, 1]), (dead, dead));
    }

    #[test]
    fn what_passes_by_is_not_left_over_and_what_was_not_read_is_not_zero() {
        let fds = |fds| Levels {
            fds: Some(fds),
            ..Levels::default()
        };
        let before = fds(20).least(fds(18));
        let after = fds(25).least(fds(21)).least(fds(24));
        let left = after.left_over(&before, Some(2));
        assert_eq!((left.fds, left.upstream_streams), (Some(3), Some(2)));
        assert_eq!((left.tasks, left.permits), (None, None));
        assert_eq!(before.left_over(&after, None).fds, Some(0));
    }
}
