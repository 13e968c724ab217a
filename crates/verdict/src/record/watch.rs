//! The checks of a monitor: pairs of a sync and an async one, in the order in which they were due.

use std::collections::{BTreeMap, VecDeque};

use super::{Censored, Outcome, Plan, Tick, Times};
use crate::summary::Distribution;
use crate::units::time_or_bound;

/// How many ticks back a monitor remembers.
const REMEMBERED: usize = 20;

/// One check, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// When it was due, in microseconds from the start.
    pub due_us: u64,
    /// What became of it; `None` while it is in flight.
    pub outcome: Option<Outcome>,
    /// From when it was due to its answer; without one, a lower bound.
    pub us: u64,
}

impl Look {
    /// Whether it took longer than this, or was not answered as it should.
    #[must_use]
    pub fn is_slow(&self, limit_us: u64) -> bool {
        match self.outcome {
            Some(Outcome::Ok | Outcome::Withheld) => self.us > limit_us,
            _ => true,
        }
    }

    /// Whether its caller waits or waited longer than this for an answer that was not an error.
    #[must_use]
    pub fn is_wait(&self, limit_us: u64) -> bool {
        match self.outcome {
            Some(Outcome::Ok | Outcome::Withheld) | None => self.us > limit_us,
            Some(outcome) => outcome == Outcome::Timeout,
        }
    }

    /// Whether the time is a lower bound.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        self.outcome != Some(Outcome::Ok)
    }

    /// The time for people, with ≥ before a lower bound.
    #[must_use]
    pub fn shown(&self) -> String {
        time_or_bound(Some(self.us), self.is_bound())
    }
}

/// Both checks of one tick, the sync one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Counted from 0.
    pub tick: u64,
    /// The sync check and the async one.
    pub looks: [Look; 2],
}

/// What is known of each tick: none is left out, and they are given out in the order of the plan.
#[derive(Debug)]
pub struct WatchLog {
    plan: Plan,
    timeout_us: u64,
    /// No check is due from here on.
    end_us: u64,
    /// The tick of the first entry of `open`.
    first: u64,
    /// Ticks of which an outcome is missing, or whose turn has not come.
    open: VecDeque<[Option<Look>; 2]>,
    given: VecDeque<Pair>,
    figures: [Figures; 2],
}

/// The figures of one URL.
#[derive(Clone, Debug)]
pub struct Figures {
    /// How many checks ended in which way.
    pub outcomes: BTreeMap<&'static str, u64>,
    times: Times,
    smallest_bound_us: u64,
}

impl WatchLog {
    /// For a plan of two endpoints, the sync one first.
    #[must_use]
    pub fn new(plan: Plan, timeout_us: u64) -> Self {
        Self {
            plan,
            timeout_us,
            end_us: u64::MAX,
            first: 0,
            open: VecDeque::new(),
            given: VecDeque::new(),
            figures: [Figures::new(), Figures::new()],
        }
    }

    /// Takes an outcome in.
    pub fn record(&mut self, tick: &Tick) {
        let of = |n: u64| self.plan.due_us(2 * n + tick.endpoint as u64);
        let mut number = self.first;
        while of(number) < tick.due_us {
            number += 1;
        }
        let look = Look {
            due_us: tick.due_us,
            outcome: Some(tick.outcome),
            us: tick.response_us(self.timeout_us),
        };
        self.set(number, tick.endpoint, look);
    }

    /// The next tick whose outcomes are known, in the order of the plan.
    pub fn next_pair(&mut self) -> Option<Pair> {
        let &[Some(sync), Some(asynchronous)] = self.open.front()? else {
            return None;
        };
        self.open.pop_front();
        let pair = Pair {
            tick: self.first,
            looks: [sync, asynchronous],
        };
        self.first += 1;
        for (figures, look) in self.figures.iter_mut().zip(&pair.looks) {
            figures.add(look);
        }
        self.given.push_back(pair);
        if self.given.len() > REMEMBERED {
            self.given.pop_front();
        }
        Some(pair)
    }

    /// The latest checks of an endpoint at `now_us`, the oldest first: those that were given out, and
    /// what is known of those that were due since.
    #[must_use]
    pub fn recent(&self, endpoint: usize, now_us: u64) -> Vec<Look> {
        let given = self.given.iter().map(|pair| pair.looks[endpoint]);
        given.chain(self.pending(endpoint, now_us)).collect()
    }

    /// The latest checks of an endpoint that were given out, the oldest first.
    #[must_use]
    pub fn given(&self, endpoint: usize) -> Vec<Look> {
        self.given.iter().map(|pair| pair.looks[endpoint]).collect()
    }

    /// How many checks of an endpoint are in flight at `now_us`, and since when the oldest of them was
    /// due, in microseconds.
    #[must_use]
    pub fn in_flight(&self, endpoint: usize, now_us: u64) -> (usize, u64) {
        let pending = self.pending(endpoint, now_us);
        let ages: Vec<u64> = pending
            .filter(|look| look.outcome.is_none())
            .map(|look| look.us)
            .collect();
        (ages.len(), ages.first().copied().unwrap_or(0))
    }

    /// The plan ends at `end_us`: no check is due from there on.
    pub fn end_at(&mut self, end_us: u64) {
        self.end_us = end_us;
    }

    /// The watch ends at `now_us`: what is in flight counts as unanswered, with its age. The ticks that
    /// are left are then given out; a last one of which only the sync check was due is in the figures
    /// alone.
    pub fn close(&mut self, now_us: u64) {
        let [sync, asynchronous] = [0, 1].map(|endpoint| {
            let unanswered = |look: Look| Look {
                outcome: look.outcome.or(Some(Outcome::Unanswered)),
                ..look
            };
            let left = self.pending(endpoint, now_us).map(unanswered);
            left.collect::<Vec<_>>()
        });
        if let Some(alone) = sync.get(asynchronous.len()) {
            self.figures[0].add(alone);
        }
        for (number, looks) in (self.first..).zip(sync.iter().zip(&asynchronous)) {
            self.set(number, 0, *looks.0);
            self.set(number, 1, *looks.1);
        }
    }

    /// The figures of an endpoint so far.
    #[must_use]
    pub fn figures(&self, endpoint: usize) -> &Figures {
        &self.figures[endpoint]
    }

    /// Ticks that were given out.
    #[must_use]
    pub fn ticks(&self) -> u64 {
        self.first
    }

    fn set(&mut self, number: u64, endpoint: usize, look: Look) {
        let Some(at) = number
            .checked_sub(self.first)
            .and_then(|at| usize::try_from(at).ok())
        else {
            return;
        };
        if self.open.len() <= at {
            self.open.resize(at + 1, [None, None]);
        }
        self.open[at][endpoint] = Some(look);
    }

    /// The checks that are due by `now_us`, from the first that is open on.
    fn pending(&self, endpoint: usize, now_us: u64) -> impl Iterator<Item = Look> + '_ {
        (0..).map_while(move |at: usize| {
            let due_us = self
                .plan
                .due_us(2 * (self.first + at as u64) + endpoint as u64);
            let known = self.open.get(at).and_then(|pair| pair[endpoint]);
            let in_flight = Look {
                due_us,
                outcome: None,
                us: now_us.saturating_sub(due_us),
            };
            (due_us <= now_us && due_us < self.end_us).then(|| known.unwrap_or(in_flight))
        })
    }
}

impl Figures {
    fn new() -> Self {
        Self {
            outcomes: BTreeMap::new(),
            times: Times::default(),
            smallest_bound_us: u64::MAX,
        }
    }

    fn add(&mut self, look: &Look) {
        let outcome = look.outcome.map_or("in_flight", Outcome::name);
        *self.outcomes.entry(outcome).or_default() += 1;
        if look.is_bound() {
            self.smallest_bound_us = self.smallest_bound_us.min(look.us);
        }
        self.times.add(look.us);
    }

    /// Times from when a check was due, all outcomes.
    #[must_use]
    pub fn response(&self) -> Distribution {
        self.times
            .censored(Censored::FromValue(self.smallest_bound_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: u64 = 5_000_000;

    /// A tick a second, the async check half a second after the sync one.
    fn log() -> WatchLog {
        WatchLog::new(Plan::new(1.0, 2), TIMEOUT)
    }

    fn tick(endpoint: usize, number: u64, took_us: u64, outcome: Outcome) -> Tick {
        let due_us = number * 1_000_000 + endpoint as u64 * 500_000;
        Tick {
            endpoint,
            due_us,
            sent_us: due_us,
            done_us: due_us + took_us,
            outcome,
        }
    }

    #[test]
    fn ticks_are_given_out_in_order_whatever_came_first() {
        let mut log = log();
        for number in [2, 0, 1] {
            log.record(&tick(1, number, 300, Outcome::Ok));
        }
        log.record(&tick(0, 1, 300, Outcome::Ok));
        assert_eq!(log.next_pair(), None, "the first sync check is in flight");
        assert_eq!(log.in_flight(0, 2_400_000), (2, 2_400_000));
        log.record(&tick(0, 0, 2_500_000, Outcome::Ok));
        let given: Vec<_> = std::iter::from_fn(|| log.next_pair()).collect();
        assert_eq!(
            given.iter().map(|pair| pair.tick).collect::<Vec<_>>(),
            [0, 1]
        );
        assert_eq!(given[0].looks[0].us, 2_500_000);
        assert_eq!(log.in_flight(0, 2_400_000), (1, 400_000));
    }

    #[test]
    fn what_failed_fast_counts_no_less_than_the_timeout() {
        let mut log = log();
        log.record(&tick(0, 0, 100, Outcome::ConnectFailure));
        log.record(&tick(1, 0, 100, Outcome::Ok));
        let pair = log.next_pair().unwrap();
        assert_eq!(pair.looks[0].shown(), "≥ 5.00 s");
        assert_eq!(pair.looks[1].shown(), "100 µs");
        assert!(log.figures(0).response().p50_censored);
        assert!(!log.figures(1).response().p50_censored);
    }

    #[test]
    fn what_the_plan_does_not_have_is_not_in_flight() {
        let mut log = log();
        for endpoint in 0..2 {
            log.record(&tick(endpoint, 0, 300, Outcome::Ok));
        }
        assert_eq!(log.in_flight(1, 3_000_000).0, 2);
        log.end_at(1_000_000);
        assert_eq!(log.in_flight(1, 3_000_000).0, 0);
        assert_eq!(log.recent(1, 3_000_000).len(), 1);
    }

    #[test]
    fn none_is_dropped_at_the_end() {
        let mut log = log();
        log.record(&tick(0, 0, 300, Outcome::Ok));
        log.record(&tick(1, 0, 300, Outcome::Ok));
        // Ended at 3.2 s: ticks 0 to 3 were due, of the last one the sync check only; the plan had
        // two more seconds.
        log.end_at(3_200_000);
        log.close(3_200_000);
        let given: Vec<_> = std::iter::from_fn(|| log.next_pair()).collect();
        assert_eq!(given.len(), 3);
        assert_eq!(given[2].looks[0].outcome, Some(Outcome::Unanswered));
        assert_eq!(given[2].looks[0].us, 1_200_000);
        assert_eq!(
            log.figures(0).outcomes["unanswered"],
            3,
            "with that of tick 3"
        );
        assert_eq!(log.figures(1).outcomes["unanswered"], 2);
        assert_eq!(log.figures(1).outcomes["ok"], 1);
    }
}
