use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::record::Series;
use crate::record::{Censored, distribution, histogram, record};
use crate::record::{Outcome, Tick};
use crate::scenario::{self, Arrivals};
use crate::summary::{Little, Loop, Requests};
use crate::units::us;

/// What one request of a load leaves behind. Instants are microseconds on the cell's clock.
#[derive(Clone, Copy, Debug)]
pub struct RequestRecord {
    /// Its class, by position.
    pub class: usize,
    /// When it was due: of a user in a closed loop, when the user was ready to send it.
    pub due_us: u64,
    /// When it was sent.
    pub sent_us: u64,
    /// When its outcome was known.
    pub done_us: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// The status it was answered with, if it was.
    pub status: Option<u16>,
}

impl RequestRecord {
    fn tick(&self) -> Tick {
        Tick {
            endpoint: self.class,
            due_us: self.due_us,
            sent_us: self.sent_us,
            done_us: self.done_us,
            outcome: self.outcome,
        }
    }
}

/// Records one class of requests.
#[derive(Clone, Debug)]
pub struct ClassRecorder {
    started: Vec<u64>,
    ended: Vec<RequestRecord>,
    dispatch: Histogram<u64>,
}

impl Default for ClassRecorder {
    fn default() -> Self {
        Self {
            started: Vec::new(),
            ended: Vec::new(),
            dispatch: histogram(),
        }
    }
}

/// What became of the requests in one interval of the log, by class.
#[derive(Clone, Debug)]
pub struct RequestInterval {
    classes: Vec<(Histogram<u64>, Histogram<u64>)>,
}

impl RequestInterval {
    /// Nothing yet, of so many classes.
    #[must_use]
    pub fn new(classes: usize) -> Self {
        Self {
            classes: vec![(histogram(), histogram()); classes],
        }
    }

    /// Takes in a request that has its outcome.
    pub fn record(&mut self, request: &RequestRecord) {
        let took = request.done_us.saturating_sub(request.due_us);
        if let Some((all, ok)) = self.classes.get_mut(request.class) {
            record(all, took);
            if request.outcome == Outcome::Ok {
                record(ok, took);
            }
        }
    }

    /// Response times of all outcomes as they were, and of the successful ones.
    pub fn classes(&self) -> impl Iterator<Item = (&Histogram<u64>, &Histogram<u64>)> {
        self.classes.iter().map(|(all, ok)| (all, ok))
    }
}

/// The parts of a cell's time that a class is judged by, in microseconds on its clock.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Start of the load.
    pub start_us: u64,
    /// Start of the hold, when the whole load is there.
    pub hold_us: u64,
    /// End of the hold.
    pub end_us: u64,
}

impl ClassRecorder {
    /// A request that was due at `due_us` was sent `late_us` after that.
    pub fn started(&mut self, due_us: u64, late_us: u64) {
        self.started.push(due_us);
        record(&mut self.dispatch, late_us);
    }

    /// A request has its outcome.
    pub fn ended(&mut self, request: RequestRecord) {
        self.ended.push(request);
    }

    /// Requests in flight now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.started.len().saturating_sub(self.ended.len())
    }

    /// Requests answered with success so far.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.ended
            .iter()
            .filter(|request| request.outcome == Outcome::Ok)
            .count()
    }

    /// How late requests were sent.
    #[must_use]
    pub fn dispatch(&self) -> &Histogram<u64> {
        &self.dispatch
    }

    /// How many requests were due in the window and have no outcome.
    #[must_use]
    pub fn undecided(&self, window: Window) -> u64 {
        let is_in = |due: u64| (window.start_us..window.end_us).contains(&due);
        let due = self.started.iter().filter(|&&due| is_in(due)).count();
        let decided = self.ended.iter().filter(|one| is_in(one.due_us)).count();
        (due - decided.min(due)) as u64
    }

    /// The figures of the requests that were due in the window.
    #[must_use]
    pub fn figures(&self, spec: &scenario::Requests, window: Window) -> Requests {
        let timeout_us = us(spec.timeout);
        let is_in = |due: u64| (window.start_us..window.end_us).contains(&due);
        let mut series = Series::default();
        let mut answered = histogram();
        let mut statuses: BTreeMap<String, u64> = BTreeMap::new();
        for request in self.ended.iter().filter(|one| is_in(one.due_us)) {
            let tick = request.tick();
            series.record(&tick, timeout_us);
            if request.outcome != Outcome::Unanswered {
                record(&mut answered, tick.response_us(timeout_us));
            }
            if let Some(status) = request.status {
                *statuses.entry(status.to_string()).or_default() += 1;
            }
        }
        let due = self.started.iter().filter(|&&due| is_in(due)).count() as u64;
        let ok = series.count(Outcome::Ok);
        let mut outcomes = series.figures(due, timeout_us);
        let censored = Censored::Between {
            exact: ok,
            upper: &answered,
        };
        outcomes.response_us = distribution(&series.response, censored);
        let by_second = self.by_second(window);
        let seconds = (window.end_us.saturating_sub(window.start_us)) as f64 / 1e6;
        let completed = self.completed(window.start_us, window.end_us).count() as u64;
        let (users, per_second) = match spec.arrivals() {
            Arrivals::Users(users) => (Some(u64::from(users)), None),
            Arrivals::Rate(rate) => (None, Some(rate)),
        };
        let path = spec.path.split('?').next().unwrap_or_default();
        Requests {
            outcomes,
            unanswered: series.count(Outcome::Unanswered),
            path: path.to_owned(),
            arrivals: if users.is_some() {
                Loop::Closed
            } else {
                Loop::Open
            },
            users,
            offered_per_second: per_second,
            think_us: us(spec.think.mean()),
            statuses,
            completed,
            throughput_per_second: (seconds > 0.0).then(|| completed as f64 / seconds),
            completed_by_second: by_second,
            little: users.and_then(|users| self.little(users, us(spec.think.mean()), window)),
        }
    }

    /// Requests answered with success between two instants.
    fn completed(&self, start_us: u64, end_us: u64) -> impl Iterator<Item = &RequestRecord> {
        self.ended.iter().filter(move |one| {
            one.outcome == Outcome::Ok && (start_us..end_us).contains(&one.done_us)
        })
    }

    fn by_second(&self, window: Window) -> Vec<u64> {
        let length = window.end_us.saturating_sub(window.start_us);
        let mut seconds = vec![0; (length / 1_000_000) as usize];
        for request in self.completed(window.start_us, window.end_us) {
            let second = ((request.done_us - window.start_us) / 1_000_000) as usize;
            if let Some(count) = seconds.get_mut(second) {
                *count += 1;
            }
        }
        seconds
    }

    /// Little's law over the hold, when all users are there: X·(R + Z) should be N.
    fn little(&self, users: u64, think_us: u64, window: Window) -> Option<Little> {
        let seconds = window.end_us.checked_sub(window.hold_us)? as f64 / 1e6;
        let responses: Vec<_> = self
            .completed(window.hold_us, window.end_us)
            .map(|one| one.done_us.saturating_sub(one.due_us))
            .collect();
        if responses.is_empty() || seconds <= 0.0 {
            return None;
        }
        let throughput = responses.len() as f64 / seconds;
        let response_us = responses.iter().sum::<u64>() as f64 / responses.len() as f64;
        let product = throughput * (response_us + think_us as f64) / 1e6;
        let waiting = self.waiting(window) / seconds;
        let ended = self.ended.iter().filter(|one| {
            one.outcome != Outcome::Unanswered
                && (window.hold_us..window.end_us).contains(&one.done_us)
        });
        let thinking = ended.count() as f64 / seconds * think_us as f64 / 1e6;
        Some(Little {
            throughput_per_second: throughput,
            response_us: response_us.round() as u64,
            think_us,
            users,
            product,
            error_percent: 100.0 * (product - users as f64) / users as f64,
            waiting,
            whole_response_us: (1e6 * waiting / throughput).round() as u64,
            whole_error_percent: 100.0 * (waiting + thinking - users as f64) / users as f64,
        })
    }

    /// Time that requests were in flight in the hold, in seconds, summed over all of them.
    fn waiting(&self, window: Window) -> f64 {
        let in_hold = |one: &RequestRecord| {
            let end = one.done_us.min(window.end_us);
            end.saturating_sub(one.due_us.max(window.hold_us))
        };
        self.ended.iter().map(in_hold).sum::<u64>() as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> scenario::Requests {
        toml::from_str("path = \"/\"\nusers = 10\ntimeout = \"60s\"").expect("a class")
    }

    const WINDOW: Window = Window {
        start_us: 0,
        hold_us: 0,
        end_us: 10_000_000,
    };

    fn one(recorder: &mut ClassRecorder, due_us: u64, took_us: u64, outcome: Outcome) {
        recorder.started(due_us, 0);
        recorder.ended(RequestRecord {
            class: 0,
            due_us,
            sent_us: due_us,
            done_us: due_us + took_us,
            outcome,
            status: None,
        });
    }

    #[test]
    fn a_few_requests_in_flight_at_the_end_do_not_censor_the_median() {
        let mut class = ClassRecorder::default();
        for n in 0..1_000 {
            one(&mut class, n * 9_000, 200_000, Outcome::Ok);
        }
        for n in 0..5 {
            one(&mut class, 9_900_000, 10 * n, Outcome::Unanswered);
        }
        let figures = class.figures(&spec(), WINDOW);
        let response = &figures.outcomes.response_us;
        assert!(!response.p50_censored && !response.p99_censored);
        assert!(response.max_censored);
        assert_eq!((figures.outcomes.due, figures.unanswered), (1_005, 5));
    }

    #[test]
    fn a_user_who_never_got_an_answer_is_no_fast_one() {
        // 10 users, one answered at once, nine still waiting after 9 s.
        let mut class = ClassRecorder::default();
        one(&mut class, 1_000_000, 5_000, Outcome::Ok);
        for _ in 0..9 {
            one(&mut class, 1_000_000, 9_000_000, Outcome::Unanswered);
        }
        let response = class.figures(&spec(), WINDOW).outcomes.response_us;
        assert!(
            response.p50.is_some_and(|p50| p50 >= 8_990_000),
            "{response:?}"
        );
        assert!(response.p50_censored);
    }

    #[test]
    fn littles_law_holds_for_a_steady_loop_and_not_for_a_censored_one() {
        let mut steady = ClassRecorder::default();
        for user in 0..10 {
            for n in 0..20 {
                one(&mut steady, n * 500_000 + user, 499_000, Outcome::Ok);
            }
        }
        let little = steady.figures(&spec(), WINDOW).little.expect("completed");
        assert!(little.error_percent.abs() < 15.0, "{little:?}");
        let mut censored = ClassRecorder::default();
        for n in 0..20 {
            one(&mut censored, n * 500_000, 499_000, Outcome::Ok);
        }
        for _ in 0..9 {
            one(&mut censored, 0, 10_000_000, Outcome::Unanswered);
        }
        let little = censored.figures(&spec(), WINDOW).little.expect("completed");
        assert!(
            little.error_percent < -85.0 && little.is_missed(),
            "{little:?}"
        );
        // Counted with those who wait in vain, the same run meets the law: 10 users, 2 answers a second.
        assert!(little.whole_error_percent.abs() < 1.0, "{little:?}");
        assert!((4_900_000..=5_000_000).contains(&little.whole_response_us));
    }
}
