use std::collections::BTreeMap;

use super::distribution::{Censored, Times};
use super::{Outcome, Part, Tick};
use crate::summary::{Distribution, Probe};

/// What is recorded of one endpoint in one segment.
#[derive(Clone, Debug, Default)]
pub struct Series {
    outcomes: [u64; Outcome::ALL.len()],
    /// Response time, all outcomes.
    pub response: Times,
    /// Response time, ok only.
    pub response_ok: Times,
    /// Service time, all outcomes but withheld: what was not sent was not served.
    pub service: Times,
}

impl Series {
    /// Takes in a check that has its outcome.
    pub fn record(&mut self, tick: &Tick, timeout_us: u64) {
        self.outcomes[tick.outcome as usize] += 1;
        self.response.add(tick.response_us(timeout_us));
        if tick.outcome != Outcome::Withheld {
            self.service.add(tick.service_us(timeout_us));
        }
        if tick.outcome == Outcome::Ok {
            self.response_ok.add(tick.response_us(timeout_us));
        }
    }

    /// How many checks ended as `outcome`.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize]
    }

    /// How many checks have an outcome.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    /// Adds all of `other`.
    fn merge(&mut self, other: &Self) {
        for (sum, more) in self.outcomes.iter_mut().zip(other.outcomes) {
            *sum += more;
        }
        self.response.merge(&other.response);
        self.response_ok.merge(&other.response_ok);
        self.service.merge(&other.service);
    }

    /// Response times of all outcomes, with what is a lower bound marked.
    #[must_use]
    pub fn response_figures(&self) -> Distribution {
        let exact = self.count(Outcome::Ok);
        self.response.censored(match self.count(Outcome::Withheld) {
            0 => Censored::AboveRank(exact),
            // The age of a check that waits may be less than the timeout.
            _ => Censored::Between {
                exact,
                upper: &self.response_ok,
            },
        })
    }

    /// The figures, with `due` as the plan had it.
    #[must_use]
    pub fn figures(&self, due: u64, timeout_us: u64) -> Probe {
        let ok = self.count(Outcome::Ok);
        Probe {
            due,
            ok,
            bad_status: self.count(Outcome::BadStatus),
            timeout: self.count(Outcome::Timeout),
            connect_failure: self.count(Outcome::ConnectFailure),
            aborted: self.count(Outcome::Aborted),
            not_sent: self.count(Outcome::NotSent),
            withheld: self.count(Outcome::Withheld),
            timeout_us,
            response_us: self.response_figures(),
            response_ok_us: self.response_ok.figures(),
            service_us: self.service.censored(Censored::AboveRank(ok)),
        }
    }
}

/// Records checks by part of the cell and endpoint.
#[derive(Clone, Debug)]
pub struct Recorder {
    timeout_us: u64,
    series: BTreeMap<(Part, usize), Series>,
    dispatch: BTreeMap<Part, Times>,
}

impl Recorder {
    /// A recorder of checks with this timeout.
    #[must_use]
    pub fn new(timeout_us: u64) -> Self {
        Self {
            timeout_us,
            series: BTreeMap::new(),
            dispatch: BTreeMap::new(),
        }
    }

    /// Records `tick` as one of `part`.
    pub fn record(&mut self, tick: &Tick, part: impl Into<Part>) {
        let part = part.into();
        self.series
            .entry((part, tick.endpoint))
            .or_default()
            .record(tick, self.timeout_us);
        if tick.outcome != Outcome::Withheld {
            let dispatch = self.dispatch.entry(part).or_default();
            dispatch.add(tick.dispatch_us());
        }
    }

    /// What was recorded of `endpoint` in `part`.
    #[must_use]
    pub fn series(&self, part: impl Into<Part>, endpoint: usize) -> Option<&Series> {
        self.series.get(&(part.into(), endpoint))
    }

    /// How many checks of `endpoint` in `part` have their outcome.
    #[must_use]
    pub fn decided(&self, part: impl Into<Part>, endpoint: usize) -> u64 {
        self.series(part, endpoint).map_or(0, Series::total)
    }

    /// Everything that was recorded.
    pub fn all(&self) -> impl Iterator<Item = (Part, usize, &Series)> {
        self.series
            .iter()
            .map(|(&(part, endpoint), series)| (part, endpoint, series))
    }

    /// The figures of `endpoint` in `part`, `due` being what the plan had there.
    #[must_use]
    pub fn figures(&self, part: impl Into<Part>, endpoint: usize, due: u64) -> Probe {
        match self.series(part, endpoint) {
            Some(series) => series.figures(due, self.timeout_us),
            None => Series::default().figures(due, self.timeout_us),
        }
    }

    /// How late the checks of `part` were sent. Pooled over all parts, many late checks of a short one
    /// would disappear among the others.
    #[must_use]
    pub fn dispatch(&self, part: impl Into<Part>) -> Times {
        let times = self.dispatch.get(&part.into());
        times.cloned().unwrap_or_default()
    }

    /// All parts of `endpoint` together.
    #[must_use]
    pub fn whole(&self, endpoint: usize) -> Series {
        let mut whole = Series::default();
        for (_, _, series) in self.all().filter(|&(_, this, _)| this == endpoint) {
            whole.merge(series);
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::super::Segment;
    use super::*;

    fn tick(outcome: Outcome, us: u64) -> Tick {
        Tick {
            endpoint: 0,
            due_us: 1_000,
            sent_us: 1_100,
            done_us: 1_000 + us,
            outcome,
            status: None,
        }
    }

    #[test]
    fn failing_fast_earns_nothing() {
        let mut recorder = Recorder::new(5_000_000);
        recorder.record(&tick(Outcome::Ok, 900), Segment::Hold);
        recorder.record(&tick(Outcome::ConnectFailure, 120), Segment::Hold);
        let figures = recorder.figures(Segment::Hold, 0, 2);
        assert!(
            figures.response_us.max.is_some_and(|max| max >= 5_000_000),
            "{figures:?}"
        );
        assert!(figures.response_us.max_censored);
        assert_eq!(figures.response_ok_us.count, 1);
        assert_eq!(figures.connect_failure, 1);
    }

    #[test]
    fn outcomes_sum_to_what_was_recorded() {
        let mut recorder = Recorder::new(5_000_000);
        for (n, outcome) in Outcome::ALL.into_iter().enumerate() {
            for _ in 0..=n {
                recorder.record(&tick(outcome, 500), Segment::Hold);
            }
        }
        let series = recorder.series(Segment::Hold, 0).expect("recorded");
        assert_eq!(series.total(), 36);
        assert_eq!(series.response.len(), 36);
        let withheld = series.count(Outcome::Withheld);
        assert_eq!(series.service.len(), 36 - withheld);
    }

    #[test]
    fn a_check_that_is_withheld_is_a_lower_bound_of_the_age_that_waits() {
        let mut recorder = Recorder::new(5_000_000);
        for _ in 0..6 {
            recorder.record(&tick(Outcome::Ok, 900), Segment::Hold);
        }
        for _ in 0..2 {
            recorder.record(&tick(Outcome::Ok, 4_000_000), Segment::Hold);
        }
        for n in 0..2 {
            let withheld = Tick {
                endpoint: 0,
                due_us: 800_000 + n,
                sent_us: 200_000,
                done_us: 800_000 + n,
                outcome: Outcome::Withheld,
                status: None,
            };
            recorder.record(&withheld, Segment::Hold);
        }
        let figures = recorder.figures(Segment::Hold, 0, 10);
        let sum = figures.ok + figures.withheld;
        assert_eq!((sum, figures.not_sent), (figures.due, 0));
        assert_eq!(figures.unanswered_percent(), Some(20.0));
        assert_eq!(figures.failed(), 0);
        let response = &figures.response_us;
        assert!(!response.p50_censored, "{response:?}");
        // The two that were withheld may have taken longer than the slowest answer.
        assert!(
            response.p90_censored && response.max_censored,
            "{response:?}"
        );
        assert_eq!(recorder.dispatch(Segment::Hold).len(), 8);
        let bounds = recorder.series(Segment::Hold, 0).expect("recorded");
        let of_age = bounds
            .response
            .counts()
            .filter(|(us, _)| (599_000..601_000).contains(us))
            .map(|(_, count)| count)
            .sum::<u64>();
        assert_eq!(of_age, 2);
    }
}
