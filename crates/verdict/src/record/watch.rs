//! The checks of a monitor: one of each URL in a row, in the order in which they were due.

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
    /// The status it was answered with, if it was.
    pub status: Option<u16>,
}

impl Look {
    /// Whether it took longer than this, or was not answered as it should.
    #[must_use]
    pub fn is_bad(&self, limit_us: u64) -> bool {
        self.is_wait(limit_us) || self.has_failed()
    }

    /// Whether its caller waits or waited longer than this for an answer that was not an error.
    #[must_use]
    pub fn is_wait(&self, limit_us: u64) -> bool {
        match self.outcome {
            Some(Outcome::Ok | Outcome::Withheld) | None => self.us > limit_us,
            Some(outcome) => outcome == Outcome::Timeout,
        }
    }

    /// Whether it has an error status, or no connection that lasted. It did not wait.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        matches!(
            self.outcome,
            Some(
                Outcome::BadStatus | Outcome::ConnectFailure | Outcome::Aborted | Outcome::NotSent
            )
        )
    }

    /// Whether the time is a lower bound.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        !matches!(self.outcome, Some(Outcome::Ok | Outcome::BadStatus))
    }

    /// What became of it, for people: the time, with ≥ before a lower bound, or how it failed.
    #[must_use]
    pub fn shown(&self) -> String {
        match (self.outcome, self.status) {
            (Some(Outcome::BadStatus), Some(status)) => status.to_string(),
            (Some(Outcome::ConnectFailure), _) => "refused".to_owned(),
            (Some(Outcome::Aborted), _) => "cut off".to_owned(),
            (Some(Outcome::NotSent), _) => "not sent".to_owned(),
            _ => time_or_bound(Some(self.us), self.is_bound()),
        }
    }
}

/// The checks of one tick, one of each URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Counted from 0.
    pub tick: u64,
    /// In the order of the URLs.
    pub looks: Vec<Look>,
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
    open: VecDeque<Vec<Option<Look>>>,
    given: VecDeque<Row>,
    /// One for each URL.
    figures: Vec<Figures>,
}

/// The figures of one URL.
#[derive(Clone, Debug)]
pub struct Figures {
    /// How many checks ended in which way. Those that were answered with an error are told apart by its
    /// status.
    pub outcomes: BTreeMap<String, u64>,
    times: Times,
    smallest_bound_us: u64,
}

impl WatchLog {
    /// For a plan of so many URLs.
    #[must_use]
    pub fn new(plan: Plan, urls: usize, timeout_us: u64) -> Self {
        Self {
            plan,
            timeout_us,
            end_us: u64::MAX,
            first: 0,
            open: VecDeque::new(),
            given: VecDeque::new(),
            figures: vec![Figures::new(); urls],
        }
    }

    /// Takes an outcome in.
    pub fn record(&mut self, tick: &Tick) {
        let mut number = self.first;
        while self.due_us(number, tick.endpoint) < tick.due_us {
            number += 1;
        }
        let us = match tick.outcome {
            // It is known how long this took; a time that failing fast does not deserve is in no figure.
            Outcome::BadStatus => tick.done_us.saturating_sub(tick.due_us),
            _ => tick.response_us(self.timeout_us),
        };
        let look = Look {
            due_us: tick.due_us,
            outcome: Some(tick.outcome),
            us,
            status: tick.status,
        };
        self.set(number, tick.endpoint, look);
    }

    /// The next tick whose outcomes are known, in the order of the plan.
    pub fn next_row(&mut self) -> Option<Row> {
        let looks = self.open.front()?.iter().copied().collect::<Option<_>>()?;
        self.open.pop_front();
        let row = Row {
            tick: self.first,
            looks,
        };
        self.first += 1;
        for (figures, look) in self.figures.iter_mut().zip(&row.looks) {
            figures.add(look);
        }
        self.given.push_back(row.clone());
        if self.given.len() > REMEMBERED {
            self.given.pop_front();
        }
        Some(row)
    }

    /// The latest checks of a URL at `now_us`, the oldest first: those that were given out, and what is known
    /// of those that were due since.
    #[must_use]
    pub fn recent(&self, endpoint: usize, now_us: u64) -> Vec<Look> {
        let mut recent = self.given(endpoint);
        recent.extend(self.pending(endpoint, now_us));
        recent
    }

    /// The latest checks of a URL that were given out, the oldest first.
    #[must_use]
    pub fn given(&self, endpoint: usize) -> Vec<Look> {
        self.given.iter().map(|row| row.looks[endpoint]).collect()
    }

    /// How many checks of a URL are in flight at `now_us`, and since when the oldest of them was due, in
    /// microseconds.
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

    /// The watch ends at `now_us`: what is in flight counts as unanswered, with its age. The ticks that are
    /// left are then given out. A last one of which not every check was due is in the figures alone.
    pub fn close(&mut self, now_us: u64) {
        let urls = 0..self.figures.len();
        let left: Vec<Vec<_>> = urls
            .map(|endpoint| self.pending(endpoint, now_us).collect())
            .collect();
        let whole = left.iter().map(Vec::len).min().unwrap_or(0);
        for (endpoint, looks) in left.into_iter().enumerate() {
            for (number, look) in (self.first..).zip(looks) {
                let look = Look {
                    outcome: look.outcome.or(Some(Outcome::Unanswered)),
                    ..look
                };
                if number < self.first + whole as u64 {
                    self.set(number, endpoint, look);
                } else {
                    self.figures[endpoint].add(&look);
                }
            }
        }
    }

    /// The figures of a URL so far.
    #[must_use]
    pub fn figures(&self) -> &[Figures] {
        &self.figures
    }

    /// Ticks that were given out.
    #[must_use]
    pub fn ticks(&self) -> u64 {
        self.first
    }

    fn due_us(&self, number: u64, endpoint: usize) -> u64 {
        self.plan
            .due_us(self.figures.len() as u64 * number + endpoint as u64)
    }

    fn set(&mut self, number: u64, endpoint: usize, look: Look) {
        let Some(at) = number
            .checked_sub(self.first)
            .and_then(|at| usize::try_from(at).ok())
        else {
            return;
        };
        if self.open.len() <= at {
            self.open.resize(at + 1, vec![None; self.figures.len()]);
        }
        self.open[at][endpoint] = Some(look);
    }

    /// The checks that are due by `now_us`, from the first that is open on.
    fn pending(&self, endpoint: usize, now_us: u64) -> impl Iterator<Item = Look> + '_ {
        (0..).map_while(move |at: usize| {
            let due_us = self.due_us(self.first + at as u64, endpoint);
            let known = self.open.get(at).and_then(|row| row[endpoint]);
            let in_flight = Look {
                due_us,
                outcome: None,
                us: now_us.saturating_sub(due_us),
                status: None,
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
        let outcome = match (look.outcome, look.status) {
            (Some(Outcome::BadStatus), Some(status)) => format!("answered {status}"),
            (outcome, _) => outcome.map_or("in_flight", Outcome::name).to_owned(),
        };
        *self.outcomes.entry(outcome).or_default() += 1;
        if look.has_failed() {
            return;
        }
        if look.is_bound() {
            self.smallest_bound_us = self.smallest_bound_us.min(look.us);
        }
        self.times.add(look.us);
    }

    /// Times from when a check was due, of all that did not fail.
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
        WatchLog::new(Plan::new(1.0, 2), 2, TIMEOUT)
    }

    fn tick(endpoint: usize, number: u64, took_us: u64, outcome: Outcome) -> Tick {
        let due_us = number * 1_000_000 + endpoint as u64 * 500_000;
        Tick {
            endpoint,
            due_us,
            sent_us: due_us,
            done_us: due_us + took_us,
            outcome,
            status: (outcome == Outcome::BadStatus).then_some(404),
        }
    }

    #[test]
    fn ticks_are_given_out_in_order_whatever_came_first() {
        let mut log = log();
        for number in [2, 0, 1] {
            log.record(&tick(1, number, 300, Outcome::Ok));
        }
        log.record(&tick(0, 1, 300, Outcome::Ok));
        assert_eq!(log.next_row(), None, "the first sync check is in flight");
        assert_eq!(log.in_flight(0, 2_400_000), (2, 2_400_000));
        log.record(&tick(0, 0, 2_500_000, Outcome::Ok));
        let given: Vec<_> = std::iter::from_fn(|| log.next_row()).collect();
        assert_eq!(given.iter().map(|row| row.tick).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(given[0].looks[0].us, 2_500_000);
        assert_eq!(log.in_flight(0, 2_400_000), (1, 400_000));
    }

    #[test]
    fn what_failed_is_shown_by_how_it_failed_and_is_in_no_time() {
        let mut log = log();
        let ends = [
            (Outcome::BadStatus, "404"),
            (Outcome::ConnectFailure, "refused"),
            (Outcome::Aborted, "cut off"),
            (Outcome::NotSent, "not sent"),
            (Outcome::Ok, "100 µs"),
            (Outcome::Timeout, "≥ 5.00 s"),
        ];
        for (number, (outcome, shown)) in (0..).zip(ends) {
            log.record(&tick(0, number, 100, outcome));
            log.record(&tick(1, number, 100, Outcome::Ok));
            let row = log.next_row().unwrap();
            assert_eq!(row.looks[0].shown(), shown);
        }
        let figures = &log.figures()[0];
        assert_eq!(figures.outcomes["answered 404"], 1);
        assert_eq!(figures.response().count, 2, "an answer and a timeout");
        assert!(figures.response().max_censored);
        assert!(!log.figures()[1].response().p50_censored);
    }

    #[test]
    fn a_row_has_as_many_checks_as_there_are_urls() {
        for urls in 1..=3 {
            let mut log = WatchLog::new(Plan::new(1.0, urls), urls, TIMEOUT);
            for number in 0..3 {
                for endpoint in 0..urls {
                    let due_us = log.due_us(number, endpoint);
                    log.record(&Tick {
                        due_us,
                        ..tick(endpoint, number, 300, Outcome::Ok)
                    });
                }
            }
            let given: Vec<_> = std::iter::from_fn(|| log.next_row()).collect();
            assert_eq!(given.len(), 3);
            assert!(given.iter().all(|row| row.looks.len() == urls));
        }
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
        let given: Vec<_> = std::iter::from_fn(|| log.next_row()).collect();
        assert_eq!(given.len(), 3);
        assert_eq!(given[2].looks[0].outcome, Some(Outcome::Unanswered));
        assert_eq!(given[2].looks[0].us, 1_200_000);
        assert_eq!(
            log.figures()[0].outcomes["unanswered"],
            3,
            "with that of tick 3"
        );
        assert_eq!(log.figures()[1].outcomes["unanswered"], 2);
        assert_eq!(log.figures()[1].outcomes["ok"], 1);
    }
}
