//! What a server holds. It is read before and after a load. The difference is what the load left behind.

use super::Leftovers;
use crate::record::{ServerGauges, UpstreamStats};

/// What a server holds. A figure that cannot be read is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// Permits in use, of the relay under test.
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
    /// What one look says: the server's gauges, the ledgers of its upstreams and the number of its open
    /// files, as far as each could be read.
    #[must_use]
    pub fn seen(
        gauges: Option<ServerGauges>,
        upstreams: Option<&[UpstreamStats]>,
        fds: Option<u64>,
    ) -> Self {
        // A kept connection costs the server a file and a task, and is no leak. If the upstream does
        // not count its connections, they stay in the figure, which can only make it too large.
        let kept = upstreams.and_then(kept).unwrap_or(0);
        let gauges = gauges.unwrap_or_default();
        let relay = gauges.disconnect.or(gauges.relay);
        let level = |level: u64| i64::try_from(level).unwrap_or(i64::MAX);
        Self {
            permits: relay.map(|relay| level(relay.permits_in_use)),
            threads_busy: gauges.pool.map(|pool| level(pool.busy)),
            tasks: gauges.tasks_alive.map(|tasks| level(tasks) - kept),
            connections: gauges.connections.map(level),
            fds: fds.map(|fds| level(fds) - kept),
        }
    }

    /// The smaller of the two, for each figure by itself.
    #[must_use]
    pub fn least(self, other: Self) -> Self {
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

/// How many connections without a stream are kept for later. To each upstream these are at most as many as
/// it had streams at once, by its own count, and one more for the lab's. Any others are left over. `None`
/// if an upstream does not count its connections.
fn kept(upstreams: &[UpstreamStats]) -> Option<i64> {
    let kept = upstreams.iter().map(|stats| {
        let idle = stats.connections?.saturating_sub(stats.open);
        // A refused stream was never open, but it came by a connection too.
        let at_once = stats.open_peak.max(u64::from(stats.started > 0));
        Some(idle.min(at_once + 1))
    });
    let kept = kept.sum::<Option<u64>>()?;
    Some(i64::try_from(kept).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_were_never_in_use_at_once_are_left_over_and_not_kept() {
        let levels = |fds: i64, upstreams: &[(u64, u64)]| {
            let stats = |&(connections, open_peak): &(u64, u64)| UpstreamStats {
                connections: Some(connections),
                open_peak,
                ..UpstreamStats::default()
            };
            let upstreams: Vec<_> = upstreams.iter().map(stats).collect();
            let level = Some(fds - kept(&upstreams).expect("counted"));
            Levels {
                fds: level,
                tasks: level,
                ..Levels::default()
            }
        };
        let left = |fds, upstreams: &[(u64, u64)]| {
            let left = levels(fds, upstreams).left_over(&levels(20, &[(1, 0), (1, 0)]), Some(0));
            (left.fds, left.tasks)
        };
        // Files of a server with as many connections to its upstreams as these have, the lab's aside.
        assert_eq!(left(20 + 10, &[(11, 10), (1, 0)]), (Some(0), Some(0)));
        assert_eq!(left(20 + 20, &[(11, 10), (11, 10)]), (Some(0), Some(0)));
        // Ten streams at once, and 64 connections: 54 of them are dead, whatever the server may have.
        let dead = (Some(54), Some(54));
        assert_eq!(left(20 + 64, &[(65, 10), (1, 0)]), dead);
        assert_eq!(left(20 + 10 + 54, &[(11, 10), (55, 0)]), dead, "unused");
    }

    #[test]
    fn what_an_upstream_does_not_count_is_not_taken_away() {
        assert_eq!(kept(&[UpstreamStats::default()]), None);
        assert_eq!(kept(&[]), Some(0));
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
