//! The figures of a blocking pool at one instant, and what they mean.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::micros;

/// Wait for a thread above which a pool counts as degraded
/// ([`Health::Degraded`](crate::Health::Degraded)).
pub const DEGRADED_ABOVE: Duration = Duration::from_millis(100);

/// The pool at one instant.
///
/// Serialized, durations are integer microseconds (`oldest_wait_us`, `oldest_wait_us_peak`,
/// `busy_us_total`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PoolSnapshot {
    /// Threads that the runtime may use for blocking jobs, as it was configured.
    pub capacity: usize,
    /// Jobs that hold a thread now.
    pub busy: usize,
    /// Jobs handed over that hold no thread yet. A burst counts in full until threads take its jobs.
    pub queued: usize,
    /// How long the oldest job in the queue has waited so far; zero if none is queued.
    #[serde(rename = "oldest_wait_us", with = "micros")]
    pub oldest_wait: Duration,
    /// Highest `busy` ever.
    pub busy_peak: usize,
    /// Highest `queued` ever.
    pub queued_peak: usize,
    /// Longest wait ever, of jobs that started and of those still queued.
    #[serde(rename = "oldest_wait_us_peak", with = "micros")]
    pub oldest_wait_peak: Duration,
    /// Jobs that ran to their end, panics included.
    pub completed: u64,
    /// Time that threads were held, summed over threads, with the part of jobs that still run.
    ///
    /// Between two snapshots, busy percent is `Δbusy_total / (capacity · Δt)`.
    #[serde(rename = "busy_us_total", with = "micros")]
    pub busy_total: Duration,
}

impl PoolSnapshot {
    /// Whether a job has waited for a thread for longer than [`DEGRADED_ABOVE`]. Feed it to
    /// [`Readiness`](crate::Readiness).
    ///
    /// A job waits so long only if every thread is taken, by counted jobs or by
    /// [other work](Self::uncounted). A shorter wait means nothing: a busy pool has a short queue most of
    /// the time. The [`Canary`](crate::Canary) calls the same wait degraded.
    pub fn is_backed_up(&self) -> bool {
        self.queued > 0 && self.oldest_wait > DEGRADED_ABOVE
    }

    /// Threads that no counted job holds, while a job has waited longer than [`DEGRADED_ABOVE`]; zero if
    /// none has.
    ///
    /// Tokio starts a job at once if a thread is free or one more may be started. So work that was not
    /// counted holds these threads, or they could not be started, or the capacity is not what the runtime
    /// was built with. For an instant between two jobs it looks the same, so look more than once.
    pub fn uncounted(&self) -> usize {
        if self.is_backed_up() {
            self.capacity.saturating_sub(self.busy)
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshot_has_the_published_keys_and_reads_back() {
        let snapshot = PoolSnapshot {
            capacity: 4,
            oldest_wait: Duration::from_micros(1_500_001),
            busy_total: Duration::from_secs(2),
            ..PoolSnapshot::default()
        };
        let json = serde_json::to_value(&snapshot).unwrap();
        let mut keys: Vec<_> = json
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        keys.sort_unstable();
        assert_eq!(
            keys,
            [
                "busy",
                "busy_peak",
                "busy_us_total",
                "capacity",
                "completed",
                "oldest_wait_us",
                "oldest_wait_us_peak",
                "queued",
                "queued_peak"
            ]
        );
        assert_eq!(json["oldest_wait_us"], 1_500_001);
        assert_eq!(
            serde_json::from_value::<PoolSnapshot>(json).unwrap(),
            snapshot
        );
    }

    #[test]
    fn a_long_wait_beside_idle_threads_shows_that_others_hold_them() {
        let pool = |busy, queued, millis| PoolSnapshot {
            capacity: 4,
            busy,
            queued,
            oldest_wait: Duration::from_millis(millis),
            ..PoolSnapshot::default()
        };
        assert_eq!(pool(1, 1, 100).uncounted(), 0, "it may start any moment");
        assert!(!pool(1, 1, 100).is_backed_up());
        assert_eq!(pool(1, 1, 101).uncounted(), 3);
        assert!(pool(1, 1, 101).is_backed_up());
        assert_eq!(pool(4, 9, 500).uncounted(), 0, "all of them are counted");
    }

    #[test]
    fn a_pool_is_backed_up_by_a_long_wait_and_not_by_a_queue() {
        let pool = |queued, millis| PoolSnapshot {
            capacity: 4,
            busy: 4,
            queued,
            oldest_wait: Duration::from_millis(millis),
            ..PoolSnapshot::default()
        };
        assert!(!pool(0, 0).is_backed_up());
        assert!(!pool(9, 1).is_backed_up(), "well used");
        assert!(!pool(9, 100).is_backed_up(), "not degraded either");
        assert!(pool(1, 101).is_backed_up());
    }
}
