//! What a closed-loop probe would have reported: the other half of the truth.

use crate::record::{Censored, Outcome, Tick, distribution, histogram, record};
use crate::summary::ClosedLoop;

/// Picks from the checks of one endpoint, in order of due time, those that a probe with one check in
/// flight would have sent at the same rate: none before the last one had its outcome. Failures drop
/// out and latency counts from when a check was sent, as common tools have it (coordinated omission).
#[must_use]
pub fn reconstruct<'a>(ticks: impl Iterator<Item = &'a Tick>) -> ClosedLoop {
    let mut service = histogram();
    let mut result = ClosedLoop::default();
    let mut free_at_us = 0;
    for tick in ticks.filter(|tick| tick.outcome != Outcome::NotSent) {
        if tick.sent_us < free_at_us {
            continue;
        }
        free_at_us = tick.done_us;
        result.sent += 1;
        if tick.outcome == Outcome::Ok {
            record(&mut service, tick.done_us.saturating_sub(tick.sent_us));
        } else {
            result.dropped += 1;
        }
    }
    result.service_us = distribution(&service, Censored::Nothing);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_that_hits_a_hundred_checks_shows_as_one_and_is_dropped() {
        // 100 checks a second for 10 s; from 4 s to 9 s the server does not answer and each times out.
        let ticks: Vec<_> = (0..1_000_u64)
            .map(|n| {
                let due_us = n * 10_000;
                let stalled = (4_000_000..9_000_000).contains(&due_us);
                let (outcome, took) = if stalled {
                    (Outcome::Timeout, 5_000_000)
                } else {
                    (Outcome::Ok, 1_000)
                };
                Tick {
                    endpoint: 0,
                    due_us,
                    sent_us: due_us,
                    done_us: due_us + took,
                    outcome,
                }
            })
            .collect();
        let seen = reconstruct(ticks.iter());
        assert_eq!(seen.dropped, 1);
        assert_eq!(seen.sent, 501);
        assert!(seen.service_us.max.is_some_and(|max| max < 1_010));
    }
}
