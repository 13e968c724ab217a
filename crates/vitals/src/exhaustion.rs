//! Decides when a pool's exhaustion begins and when it ends.

use std::time::{Duration, Instant};

use crate::pool_snapshot::{DEGRADED_ABOVE, PoolSnapshot};

/// How long the wait has to stay short before exhaustion has ended. It is more than
/// [`CANARY_EVERY`](crate::CANARY_EVERY): if uncounted work fills the pool, only the canary waits, and a
/// new canary has a short wait.
const CALM_FOR: Duration = Duration::from_secs(3);

/// Looks in a row after which idle threads do not explain a long wait: a thread that is free between two
/// jobs is not free for so many.
const UNEXPLAINED_LOOKS: u32 = 3;

/// Tells when exhaustion begins and ends. It has no clock: it is fed with snapshots.
///
/// Exhaustion begins when every thread is busy *and* the oldest job in the queue has waited longer than
/// [`DEGRADED_ABOVE`]. A full pool with a short queue is only busy. If a job waits so long while threads
/// are not busy, exhaustion begins at the third such look in a row: work that is
/// [not counted](PoolSnapshot::uncounted) holds those threads. It ends when the oldest wait has been at
/// [`DEGRADED_ABOVE`] or below for three seconds. A queue that is empty for an instant and fills again is
/// one exhaustion.
#[derive(Clone, Debug, Default)]
pub struct Exhaustion {
    episode: Option<Episode>,
    /// Looks in a row that saw a long wait while threads were not busy.
    unexplained: u32,
}

/// A change that [`Exhaustion::observe`] noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transition {
    /// Exhaustion begins.
    #[non_exhaustive]
    Began {
        /// Jobs that hold a thread.
        busy: usize,
        /// Threads.
        capacity: usize,
        /// Threads that are taken by something else, as [`PoolSnapshot::uncounted`] says.
        uncounted: usize,
        /// Jobs in the queue.
        queued: usize,
        /// How long the oldest of them has waited.
        oldest_wait: Duration,
    },
    /// Exhaustion ends.
    #[non_exhaustive]
    Ended {
        /// From its beginning to when the wait became short for good.
        lasted: Duration,
        /// Jobs that hold a thread now.
        busy: usize,
        /// Threads.
        capacity: usize,
        /// Most jobs seen in the queue meanwhile.
        queued_peak: usize,
        /// Longest wait seen meanwhile.
        oldest_wait_peak: Duration,
    },
}

#[derive(Clone, Copy, Debug)]
struct Episode {
    since: Instant,
    /// Since when the wait is short, if it is.
    calm_since: Option<Instant>,
    queued_peak: usize,
    oldest_wait_peak: Duration,
}

impl Exhaustion {
    /// Takes one look at the pool as it was at `now`.
    pub fn observe(&mut self, pool: &PoolSnapshot, now: Instant) -> Option<Transition> {
        let long_wait = pool.oldest_wait > DEGRADED_ABOVE;
        self.unexplained = match pool.uncounted() {
            0 => 0,
            _ => self.unexplained.saturating_add(1),
        };
        match &mut self.episode {
            // Calm => (Calm | Exhausted)
            None if long_wait
                && (pool.uncounted() == 0 || self.unexplained >= UNEXPLAINED_LOOKS) =>
            {
                self.episode = Some(Episode {
                    since: now,
                    calm_since: None,
                    queued_peak: pool.queued,
                    oldest_wait_peak: pool.oldest_wait,
                });
                Some(Transition::Began {
                    busy: pool.busy,
                    capacity: pool.capacity,
                    uncounted: pool.uncounted(),
                    queued: pool.queued,
                    oldest_wait: pool.oldest_wait,
                })
            }
            None => None,
            // Exhausted => Exhausted. Only a short wait ends it, not a thread that is free for an
            // instant between two jobs.
            Some(episode) if long_wait => {
                episode.calm_since = None;
                episode.queued_peak = episode.queued_peak.max(pool.queued);
                episode.oldest_wait_peak = episode.oldest_wait_peak.max(pool.oldest_wait);
                None
            }
            // Exhausted => (Exhausted | Calm)
            Some(episode) => {
                let calm_since = *episode.calm_since.get_or_insert(now);
                if now.saturating_duration_since(calm_since) < CALM_FOR {
                    return None;
                }
                let ended = Transition::Ended {
                    lasted: calm_since.saturating_duration_since(episode.since),
                    busy: pool.busy,
                    capacity: pool.capacity,
                    queued_peak: episode.queued_peak,
                    oldest_wait_peak: episode.oldest_wait_peak,
                };
                self.episode = None;
                Some(ended)
            }
        }
    }

    /// Whether exhaustion has begun and not ended.
    pub fn is_exhausted(&self) -> bool {
        self.episode.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const LOOK_EVERY: Duration = Duration::from_millis(100);

    fn pool(busy: usize, queued: usize, oldest_wait: Duration) -> PoolSnapshot {
        PoolSnapshot {
            capacity: 4,
            busy,
            queued,
            oldest_wait,
            ..PoolSnapshot::default()
        }
    }

    #[test]
    fn a_full_pool_with_a_short_queue_is_not_exhausted() {
        let t0 = Instant::now();
        let mut exhaustion = Exhaustion::default();
        assert_eq!(exhaustion.observe(&pool(4, 0, Duration::ZERO), t0), None);
        assert_eq!(exhaustion.observe(&pool(4, 3, 100 * MS), t0), None);
        assert_eq!(
            exhaustion.observe(&pool(3, 9, 500 * MS), t0),
            None,
            "a thread is free"
        );
        assert!(!exhaustion.is_exhausted());
    }

    #[test]
    fn a_job_that_keeps_waiting_beside_idle_threads_shows_work_that_is_not_counted() {
        let t0 = Instant::now();
        let mut exhaustion = Exhaustion::default();
        assert_eq!(exhaustion.observe(&pool(1, 1, 150 * MS), t0), None);
        assert_eq!(exhaustion.observe(&pool(1, 1, 250 * MS), t0), None);
        let began = exhaustion.observe(&pool(1, 1, 350 * MS), t0);
        assert!(
            matches!(
                began,
                Some(Transition::Began {
                    busy: 1,
                    uncounted: 3,
                    ..
                })
            ),
            "{began:?}"
        );
        let calm = pool(1, 0, Duration::ZERO);
        assert_eq!(exhaustion.observe(&calm, t0), None);
        let ended = exhaustion.observe(&calm, t0 + CALM_FOR);
        assert!(matches!(ended, Some(Transition::Ended { .. })), "{ended:?}");
    }

    #[test]
    fn an_episode_is_told_once_at_each_end_with_its_worst_figures() {
        let t0 = Instant::now();
        let mut exhaustion = Exhaustion::default();
        assert_eq!(
            exhaustion.observe(&pool(4, 4, 101 * MS), t0),
            Some(Transition::Began {
                busy: 4,
                capacity: 4,
                uncounted: 0,
                queued: 4,
                oldest_wait: 101 * MS
            })
        );
        assert_eq!(
            exhaustion.observe(&pool(4, 9, 700 * MS), t0 + 600 * MS),
            None
        );
        assert_eq!(
            exhaustion.observe(&pool(3, 2, 300 * MS), t0 + 700 * MS),
            None
        );
        assert!(exhaustion.is_exhausted());
        let calm = pool(4, 1, 100 * MS);
        assert_eq!(exhaustion.observe(&calm, t0 + 800 * MS), None);
        assert!(exhaustion.is_exhausted(), "it may come back");
        assert_eq!(
            exhaustion.observe(&calm, t0 + 800 * MS + CALM_FOR),
            Some(Transition::Ended {
                lasted: 800 * MS,
                busy: 4,
                capacity: 4,
                queued_peak: 9,
                oldest_wait_peak: 700 * MS,
            })
        );
        assert!(!exhaustion.is_exhausted());
        let later = t0 + 800 * MS + 2 * CALM_FOR;
        assert_eq!(exhaustion.observe(&calm, later), None);
        assert!(
            exhaustion
                .observe(&pool(4, 1, 200 * MS), later + 100 * MS)
                .is_some(),
            "again"
        );
    }

    #[test]
    fn a_wait_that_comes_and_goes_is_one_exhaustion() {
        let t0 = Instant::now();
        let mut exhaustion = Exhaustion::default();
        let mut told = Vec::new();
        for look in 0..200 {
            let is_long = look < 100 && look % 2 == 0;
            let wait = if is_long { 500 * MS } else { Duration::ZERO };
            let at = t0 + look * LOOK_EVERY;
            told.extend(exhaustion.observe(&pool(4, 1, wait), at));
        }
        assert_eq!(told.len(), 2, "{told:#?}");
        assert!(matches!(told[0], Transition::Began { .. }), "{told:#?}");
        let Transition::Ended { lasted, .. } = told[1] else {
            panic!("{told:#?}");
        };
        assert_eq!(lasted, 99 * LOOK_EVERY, "the last long wait was 100 ms ago");
    }

    #[test]
    fn calm_lasts_longer_than_it_takes_to_send_a_canary() {
        assert!(CALM_FOR > 2 * crate::CANARY_EVERY);
    }
}
