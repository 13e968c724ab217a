use std::time::Duration;

use crate::dice::{Dice, Draw};
use crate::distribution::{Distribution, scaled};

/// When each token of one request is due, counted from its origin. The plan knows no clock, so a late token
/// does not delay the next.
#[derive(Clone, Debug)]
pub struct Schedule {
    dice: Dice,
    request: Draw,
    ttft: Distribution,
    interval: Distribution,
    k: u64,
    due: Duration,
}

impl Schedule {
    /// The plan of a request: the first token after `ttft`, each further one `interval` after the token
    /// before was *due*.
    #[must_use]
    pub fn new(dice: Dice, ttft: Distribution, interval: Distribution) -> Self {
        Self {
            dice,
            request: dice.request(),
            ttft,
            interval,
            k: 0,
            due: Duration::ZERO,
        }
    }

    /// When the next token is due. The time drawn from the distribution is multiplied by `factor`.
    pub fn step(&mut self, factor: f64) -> Duration {
        let distribution = if self.k == 0 {
            &self.ttft
        } else {
            &self.interval
        };
        let time = distribution.sample(self.dice.draw(self.k), self.request);
        self.due = self.due.saturating_add(scaled(time, factor));
        self.k += 1;
        self.due
    }

    /// When token `k` (from 0) is due, with the same factor for all tokens: for the last token of a
    /// response that is sent whole.
    #[must_use]
    pub fn due(mut self, k: u64, factor: f64) -> Duration {
        for _ in 0..k {
            self.step(factor);
        }
        self.step(factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dues(mut plan: Schedule, count: usize) -> Vec<Duration> {
        (0..count).map(|_| plan.step(1.0)).collect()
    }

    fn schedule(seed: u64, id: &str) -> Schedule {
        Schedule::new(
            Dice::new(seed, id),
            "lognormal:200ms,0.5".parse().unwrap(),
            "normal:20ms,4ms".parse().unwrap(),
        )
    }

    #[test]
    fn constant_times_give_a_straight_line() {
        let plan = Schedule::new(
            Dice::new(0, ""),
            Distribution::Constant(Duration::from_millis(200)),
            Distribution::Constant(Duration::from_micros(12_500)),
        );
        let expected = [200_000, 212_500, 225_000, 237_500].map(Duration::from_micros);
        assert_eq!(dues(plan.clone(), 4), expected);
        assert_eq!(plan.clone().due(3, 1.0), expected[3]);
        assert_eq!(plan.due(3, 2.0), 2 * expected[3]);
    }

    #[test]
    fn load_stretches_the_steps_that_are_taken_under_it_and_no_others() {
        let mut plan = Schedule::new(
            Dice::new(0, ""),
            Distribution::Constant(Duration::from_millis(100)),
            Distribution::Constant(Duration::from_millis(10)),
        );
        let due = [1.0, 3.0, 1.0].map(|factor| plan.step(factor).as_millis());
        assert_eq!(due, [100, 130, 140]);
    }

    #[test]
    fn the_plan_of_a_request_does_not_depend_on_the_order_of_arrival() {
        let ids = ["a", "b", "c"];
        let plan = |id: &&'static str| (*id, dues(schedule(42, id), 100));
        let forwards: Vec<_> = ids.iter().map(plan).collect();
        let mut backwards: Vec<_> = ids.iter().rev().map(plan).collect();
        backwards.reverse();
        assert_eq!(forwards, backwards);
        assert_ne!(forwards[0].1, forwards[1].1, "two requests share a plan");
        assert_ne!(
            forwards[0],
            ("a", dues(schedule(43, "a"), 100)),
            "the seed does nothing"
        );
    }
}
