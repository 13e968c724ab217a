use std::time::Duration;

use crate::dice::Dice;
use crate::distribution::Distribution;

/// When each token of one request is due, counted from the request's arrival: an absolute plan that
/// knows no clock, so a late token never delays the next.
#[derive(Clone, Debug)]
pub struct Schedule {
    dice: Dice,
    ttft: Distribution,
    interval: Distribution,
    k: u64,
    due: Duration,
}

impl Schedule {
    /// The plan of a request: the first token after `ttft`, each further one `interval` after the
    /// one before was *due*.
    #[must_use]
    pub fn new(dice: Dice, ttft: Distribution, interval: Distribution) -> Self {
        Self {
            dice,
            ttft,
            interval,
            k: 0,
            due: Duration::ZERO,
        }
    }

    /// When token `k` (from 0) is due. For the last token of a response that is sent whole.
    #[must_use]
    pub fn due(self, k: u64) -> Duration {
        let position = usize::try_from(k).unwrap_or(usize::MAX);
        let mut schedule = self;
        schedule.nth(position).unwrap_or(Duration::MAX)
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    /// The offset at which the next token is due; the plan has no end.
    fn next(&mut self) -> Option<Duration> {
        let distribution = if self.k == 0 {
            self.ttft
        } else {
            self.interval
        };
        self.due = self
            .due
            .saturating_add(distribution.sample(self.dice.draw(self.k)));
        self.k += 1;
        Some(self.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let due: Vec<u128> = plan.clone().take(4).map(|due| due.as_micros()).collect();
        assert_eq!(due, [200_000, 212_500, 225_000, 237_500]);
        assert_eq!(plan.due(3), Duration::from_micros(237_500));
    }

    #[test]
    fn the_plan_of_a_request_does_not_depend_on_the_order_of_arrival() {
        let ids = ["a", "b", "c"];
        let plan = |id: &&'static str| (*id, schedule(42, id).take(100).collect::<Vec<_>>());
        let forwards: Vec<_> = ids.iter().map(plan).collect();
        let mut backwards: Vec<_> = ids.iter().rev().map(plan).collect();
        backwards.reverse();
        assert_eq!(forwards, backwards);
        assert_ne!(forwards[0].1, forwards[1].1, "two requests share a plan");
        assert_ne!(
            forwards[0],
            ("a", schedule(43, "a").take(100).collect()),
            "the seed does nothing"
        );
    }
}
