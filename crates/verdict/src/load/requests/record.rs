use std::collections::BTreeMap;

use super::{Arrivals, Little, Loop, RequestFigures, RequestSpec};
use crate::record::{Censored, Columns, Outcome, Series, Tick, Times, Window};
use crate::summary::Lateness;
use crate::units::us;

/// Something that happens to a request of a load.
#[derive(Clone, Copy, Debug)]
pub enum RequestEvent {
    /// It was sent.
    Started {
        /// Its class, by position.
        class: usize,
        /// When it was due, in microseconds on the cell's clock.
        due_us: u64,
        /// How much later it was sent, in microseconds.
        late_us: u64,
    },
    /// It has its outcome, as a check has it, its class standing for the endpoint. In a closed loop it was due
    /// when the user was ready to send it.
    Ended(Tick),
}

/// Records the requests of a load, class by class.
#[derive(Clone, Debug, Default)]
pub struct RequestRecorder {
    /// The classes, by position.
    pub classes: Vec<ClassRecorder>,
}

impl RequestRecorder {
    /// Nothing yet, of these classes.
    #[must_use]
    pub fn new(specs: &BTreeMap<String, RequestSpec>) -> Self {
        Self {
            classes: specs.values().map(ClassRecorder::new).collect(),
        }
    }

    /// Takes in what happened; `window` is that of the load that is under way.
    pub fn add(&mut self, event: &RequestEvent, window: Window) {
        let class = match *event {
            RequestEvent::Started { class, .. } => class,
            RequestEvent::Ended(tick) => tick.endpoint,
        };
        if let Some(class) = self.classes.get_mut(class) {
            class.add(event, window);
        }
    }

    /// A recorder of what comes now: nothing has happened yet.
    #[must_use]
    pub fn go_on(&self) -> Self {
        let anew = |class: &ClassRecorder| ClassRecorder {
            timeout_us: class.timeout_us,
            ..ClassRecorder::default()
        };
        Self {
            classes: self.classes.iter().map(anew).collect(),
        }
    }

    /// The figures by name of the class.
    #[must_use]
    pub fn figures(
        &self,
        specs: &BTreeMap<String, RequestSpec>,
        window: Window,
    ) -> BTreeMap<String, RequestFigures> {
        let classes = specs.iter().zip(&self.classes);
        classes
            .map(|((name, spec), class)| (name.clone(), class.figures(spec, window)))
            .collect()
    }

    /// How late they were sent, by name of the class.
    pub(crate) fn lateness(
        &self,
        specs: &BTreeMap<String, RequestSpec>,
    ) -> BTreeMap<String, Lateness> {
        let classes = specs.keys().zip(&self.classes);
        classes
            .map(|(name, class)| (name.clone(), class.dispatch.lateness()))
            .collect()
    }

    /// The classes of which requests have no outcome, each with how many.
    pub(crate) fn undecided(&self, specs: &BTreeMap<String, RequestSpec>) -> Vec<String> {
        let classes = specs.keys().zip(&self.classes);
        classes
            .filter(|(_, class)| class.in_flight() > 0)
            .map(|(name, class)| format!("{name} ({} without an outcome)", class.in_flight()))
            .collect()
    }

    /// Whether a request that was due in the window has no outcome.
    pub(crate) fn waits(&self) -> bool {
        let mut classes = self.classes.iter().map(|class| &class.in_window);
        classes.any(|part| part.due > part.series.total())
    }

    /// What a person sees of it while it is under way.
    pub(crate) fn now(&self) -> Vec<String> {
        let now = |class: &ClassRecorder| {
            let (answered, in_flight) = (class.answered, class.in_flight());
            format!("{answered} answered, {in_flight} in flight")
        };
        self.classes.iter().map(now).collect()
    }
}

/// What became of the requests in one interval of the log, by class: response times of all outcomes as
/// they were, and of the successful ones.
#[derive(Clone, Debug, Default)]
pub struct RequestInterval {
    classes: Vec<(Times, Times)>,
}

impl RequestInterval {
    /// Nothing yet, of so many classes.
    #[must_use]
    pub(crate) fn new(classes: usize) -> Self {
        Self {
            classes: vec![Default::default(); classes],
        }
    }

    pub(crate) fn add(&mut self, event: &RequestEvent) {
        let RequestEvent::Ended(tick) = event else {
            return;
        };
        let took = tick.done_us.saturating_sub(tick.due_us);
        if let Some((all, ok)) = self.classes.get_mut(tick.endpoint) {
            all.add(took);
            if tick.outcome == Outcome::Ok {
                ok.add(took);
            }
        }
    }

    /// The histograms by their tags in the interval log.
    pub(crate) fn tagged<'a>(
        &'a self,
        specs: &'a BTreeMap<String, RequestSpec>,
    ) -> impl Iterator<Item = (String, &'a Times)> {
        let classes = specs.keys().zip(&self.classes);
        classes.flat_map(|(name, (all, ok))| {
            let tag = |what: &str| format!("load.requests.{name}.{what}");
            [(tag("all"), all), (tag("ok"), ok)]
        })
    }

    /// The columns of the timeline.
    pub(crate) fn columns(
        &self,
        specs: &BTreeMap<String, RequestSpec>,
        recorder: &RequestRecorder,
        columns: &mut Columns,
    ) {
        let classes = self.classes.iter().zip(&recorder.classes);
        for (name, ((all, ok), class)) in specs.keys().zip(classes) {
            let seen = |value: u64| (!all.is_empty()).then_some(value);
            columns.add(format!("{name}_in_flight"), class.in_flight());
            columns.add(format!("{name}_ok"), ok.len());
            columns.add(format!("{name}_failed"), all.len() - ok.len());
            columns.add(format!("{name}_p50_us"), seen(all.value_at_quantile(0.5)));
            columns.add(format!("{name}_max_us"), seen(all.max()));
        }
    }
}

/// Records one class of requests: sums and histograms only, so that an hour needs no more memory than a
/// minute.
#[derive(Clone, Debug, Default)]
pub struct ClassRecorder {
    timeout_us: u64,
    started: u64,
    ended: u64,
    answered: u64,
    dispatch: Times,
    in_window: InWindow,
    in_hold: InHold,
}

/// The requests that were due in the window. The last two fields count those answered in it.
#[derive(Clone, Debug, Default)]
struct InWindow {
    due: u64,
    series: Series,
    /// Response times of those that ended before the load did.
    decided: Times,
    statuses: BTreeMap<String, u64>,
    completed: u64,
    completed_by_second: Vec<u64>,
}

/// What Little's law speaks of. Times are microseconds, summed.
#[derive(Clone, Debug, Default)]
struct InHold {
    /// Requests that ended in it before the load did.
    ended: u64,
    /// Those of them that were answered with success.
    completed: u64,
    response_us: u64,
    /// Time in which requests were in flight in it.
    waiting_us: u64,
}

impl ClassRecorder {
    /// Nothing yet.
    #[must_use]
    pub fn new(spec: &RequestSpec) -> Self {
        Self {
            timeout_us: us(spec.timeout),
            ..Self::default()
        }
    }

    /// Takes in what happened; `window` is that of the load that is under way.
    pub fn add(&mut self, event: &RequestEvent, window: Window) {
        match *event {
            RequestEvent::Started {
                due_us, late_us, ..
            } => {
                self.started += 1;
                self.in_window.due += u64::from(window.contains(due_us));
                self.dispatch.add(late_us);
            }
            RequestEvent::Ended(tick) => self.ended(tick, window),
        }
    }

    fn ended(&mut self, tick: Tick, window: Window) {
        let is_ok = tick.outcome == Outcome::Ok;
        let is_decided = tick.outcome != Outcome::Unanswered;
        self.ended += 1;
        self.answered += u64::from(is_ok);
        let part = &mut self.in_window;
        if window.contains(tick.due_us) {
            part.series.record(&tick, self.timeout_us);
            if is_decided {
                part.decided.add(tick.response_us(self.timeout_us));
            }
            if let Some(status) = tick.status {
                *part.statuses.entry(status.to_string()).or_default() += 1;
            }
        }
        if is_ok && window.contains(tick.done_us) {
            part.completed += 1;
            let second = ((tick.done_us - window.start_us) / 1_000_000) as usize;
            if part.completed_by_second.len() <= second {
                part.completed_by_second.resize(second + 1, 0);
            }
            part.completed_by_second[second] += 1;
        }
        let hold = &mut self.in_hold;
        if window.is_hold(tick.done_us) {
            hold.ended += u64::from(is_decided);
            if is_ok {
                hold.completed += 1;
                hold.response_us += tick.done_us.saturating_sub(tick.due_us);
            }
        }
        let (from, until) = (
            tick.due_us.max(window.hold_us),
            tick.done_us.min(window.end_us),
        );
        hold.waiting_us += until.saturating_sub(from);
    }

    /// Requests in flight now.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.started.saturating_sub(self.ended)
    }

    /// The figures of the requests that were due in the window.
    #[must_use]
    pub fn figures(&self, spec: &RequestSpec, window: Window) -> RequestFigures {
        let part = &self.in_window;
        let mut outcomes = part.series.figures(part.due, self.timeout_us);
        outcomes.response_us = part.series.response.censored(Censored::Between {
            exact: part.series.count(Outcome::Ok),
            upper: &part.decided,
        });
        let (users, per_second) = match spec.arrivals() {
            Arrivals::Users(users) => (Some(u64::from(users)), None),
            Arrivals::Rate(rate) => (None, Some(rate)),
        };
        let mut completed_by_second = part.completed_by_second.clone();
        completed_by_second.resize(window.seconds() as usize, 0);
        let path = spec.path.split('?').next().unwrap_or_default();
        let think_us = us(spec.think.mean());
        RequestFigures {
            outcomes,
            unanswered: part.series.count(Outcome::Unanswered),
            path: path.to_owned(),
            arrivals: users.map_or(Loop::Open, |_| Loop::Closed),
            users,
            offered_per_second: per_second,
            think_us,
            statuses: part.statuses.clone(),
            completed: part.completed,
            throughput_per_second: (window.seconds() > 0.0)
                .then(|| part.completed as f64 / window.seconds()),
            completed_by_second,
            little: users.and_then(|users| self.in_hold.little(users, think_us, window)),
        }
    }
}

impl InHold {
    /// Little's law over the hold, when all users are there: X·(R + Z) should be N.
    fn little(&self, users: u64, think_us: u64, window: Window) -> Option<Little> {
        let seconds = window.hold_seconds();
        if self.completed == 0 || seconds <= 0.0 {
            return None;
        }
        let throughput = self.completed as f64 / seconds;
        let response_us = self.response_us as f64 / self.completed as f64;
        let product = throughput * (response_us + think_us as f64) / 1e6;
        let waiting = self.waiting_us as f64 / 1e6 / seconds;
        let thinking = self.ended as f64 / seconds * think_us as f64 / 1e6;
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> RequestSpec {
        toml::from_str("path = \"/\"\nusers = 10\ntimeout = \"60s\"").expect("a class")
    }

    const WINDOW: Window = Window {
        start_us: 0,
        hold_us: 0,
        end_us: 10_000_000,
    };

    fn one(recorder: &mut ClassRecorder, due_us: u64, took_us: u64, outcome: Outcome) {
        let started = RequestEvent::Started {
            class: 0,
            due_us,
            late_us: 0,
        };
        let tick = Tick {
            endpoint: 0,
            due_us,
            sent_us: due_us,
            done_us: due_us + took_us,
            outcome,
            status: None,
        };
        let ended = RequestEvent::Ended(tick);
        recorder.add(&started, WINDOW);
        recorder.add(&ended, WINDOW);
    }

    #[test]
    fn a_few_requests_in_flight_at_the_end_do_not_censor_the_median() {
        let mut class = ClassRecorder::new(&spec());
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
        let mut class = ClassRecorder::new(&spec());
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
        let mut steady = ClassRecorder::new(&spec());
        for user in 0..10 {
            for n in 0..20 {
                one(&mut steady, n * 500_000 + user, 499_000, Outcome::Ok);
            }
        }
        let little = steady.figures(&spec(), WINDOW).little.expect("completed");
        assert!(little.error_percent.abs() < 15.0, "{little:?}");
        let mut censored = ClassRecorder::new(&spec());
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
        // The same run meets the law if users who wait in vain count too: 10 users, 2 answers a second.
        assert!(little.whole_error_percent.abs() < 1.0, "{little:?}");
        assert!((4_900_000..=5_000_000).contains(&little.whole_response_us));
    }
}
