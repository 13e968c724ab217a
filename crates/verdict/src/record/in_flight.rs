/// The checks of a service that is not the lab's own that wait for an answer. Few may wait there at once.
///
/// A check that has timed out still waits. Most servers do not notice that a client hung up, so each check
/// that is given up would hold one more place there.
#[derive(Clone, Debug)]
pub struct InFlight {
    /// When each was due, by endpoint.
    due_us: Vec<Vec<u64>>,
}

impl InFlight {
    /// Checks of one endpoint that may wait at once.
    pub const MOST: usize = 3;

    /// A check is given up when it has waited for so many of its timeouts.
    pub const TIMEOUTS: u32 = 3;

    /// None yet, of so many endpoints.
    #[must_use]
    pub fn new(endpoints: usize) -> Self {
        Self {
            due_us: vec![Vec::with_capacity(Self::MOST); endpoints],
        }
    }

    /// Takes in a check of `endpoint` that was due at `due_us` and is about to be sent.
    ///
    /// # Errors
    /// When the oldest check that waits was due, if as many wait as may. The new one must be withheld.
    pub fn begin(&mut self, endpoint: usize, due_us: u64) -> Result<(), u64> {
        let waiting = &mut self.due_us[endpoint];
        match waiting.iter().min() {
            Some(&oldest_us) if waiting.len() >= Self::MOST => Err(oldest_us),
            _ => {
                waiting.push(due_us);
                Ok(())
            }
        }
    }

    /// The check of `endpoint` that was due at `due_us` waits no longer.
    pub fn end(&mut self, endpoint: usize, due_us: u64) {
        self.due_us[endpoint].retain(|&waits_us| waits_us != due_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Outcome, Recorder, Segment, Tick};

    const TIMEOUT_US: u64 = 2_000_000;
    const EVERY_US: u64 = 200_000;

    /// One endpoint whose check number *n* takes `takes_us(n)`. Each tick ends as a probe would end it.
    fn ticks(checks: u64, takes_us: impl Fn(u64) -> u64) -> Vec<Tick> {
        let mut in_flight = InFlight::new(1);
        let mut ends = Vec::new();
        let mut ticks = Vec::new();
        for n in 0..checks {
            let due_us = n * EVERY_US;
            ends.retain(|&(began_us, end_us)| {
                let waits = end_us > due_us;
                if !waits {
                    in_flight.end(0, began_us);
                }
                waits
            });
            ticks.push(match in_flight.begin(0, due_us) {
                Err(oldest_us) => Tick {
                    endpoint: 0,
                    due_us,
                    sent_us: oldest_us,
                    done_us: due_us,
                    outcome: Outcome::Withheld,
                    status: None,
                },
                Ok(()) => {
                    let most = u64::from(InFlight::TIMEOUTS) * TIMEOUT_US;
                    ends.push((due_us, due_us + takes_us(n).min(most)));
                    assert!(ends.len() <= InFlight::MOST);
                    let is_late = takes_us(n) > TIMEOUT_US;
                    Tick {
                        endpoint: 0,
                        due_us,
                        sent_us: due_us,
                        done_us: due_us + takes_us(n).min(TIMEOUT_US),
                        outcome: if is_late {
                            Outcome::Timeout
                        } else {
                            Outcome::Ok
                        },
                        status: None,
                    }
                }
            });
        }
        ticks
    }

    #[test]
    fn a_server_that_answers_nothing_is_asked_three_times_in_three_timeouts() {
        // 24 s are four times three timeouts.
        let ticks = ticks(120, |_| u64::MAX);
        let asked = ticks.iter().filter(|tick| tick.outcome == Outcome::Timeout);
        assert_eq!(asked.count(), 4 * InFlight::MOST);
        let ages = ticks[3..30].iter().map(|tick| tick.response_us(TIMEOUT_US));
        assert!(ages.is_sorted_by(|one, next| next - one == EVERY_US));
    }

    #[test]
    fn whatever_a_server_does_every_tick_has_an_outcome_and_no_bound_is_too_high() {
        let mut random = 1_u64;
        for round in 0..200 {
            let mut takes = Vec::new();
            for _ in 0..50 {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                // From 1 ms to 10 s; half of the rounds on a server that is mostly fast.
                let exponent = (random >> 33) % if round % 2 == 0 { 4_000 } else { 1_600 };
                takes.push((1_000.0 * 10_f64.powf(exponent as f64 / 1_000.0)) as u64);
            }
            let mut recorder = Recorder::new(TIMEOUT_US);
            let ticks = ticks(50, |n| takes[n as usize]);
            for tick in &ticks {
                recorder.record(tick, Segment::Hold);
            }
            let of = recorder.figures(Segment::Hold, 0, 50);
            assert_eq!(of.ok + of.timeout + of.withheld, of.due);
            // A figure that is no bound is what it would be if all that has no answer took for ever.
            let mut answered: Vec<_> = ticks
                .iter()
                .filter(|tick| tick.outcome == Outcome::Ok)
                .map(|tick| tick.response_us(TIMEOUT_US))
                .collect();
            answered.sort_unstable();
            let response = &of.response_us;
            for (rank, figure, is_bound) in [
                (25, response.p50, response.p50_censored),
                (45, response.p90, response.p90_censored),
                (50, response.max, response.max_censored),
            ] {
                let figure = figure.expect("measured") as f64;
                match answered.get(rank - 1) {
                    Some(&most) => {
                        assert!(figure <= 1.002 * most as f64);
                        assert!(is_bound || most as f64 <= 1.06 * figure);
                    }
                    None => assert!(is_bound),
                }
            }
        }
    }
}
