use std::collections::BTreeMap;

use super::distribution::{Censored, Times};
use super::{Outcome, Part, Tick};
use crate::summary::Probe;

/// What is recorded of one endpoint in one segment.
#[derive(Clone, Debug, Default)]
pub struct Series {
    outcomes: [u64; Outcome::ALL.len()],
    /// Response time, all outcomes.
    pub response: Times,
    /// Response time, ok only.
    pub response_ok: Times,
    /// Service time, all outcomes.
    pub service: Times,
}

impl Series {
    /// Takes in a check that has its outcome.
    pub fn record(&mut self, tick: &Tick, timeout_us: u64) {
        self.outcomes[tick.outcome as usize] += 1;
        self.response.add(tick.response_us(timeout_us));
        self.service.add(tick.service_us(timeout_us));
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

    /// The figures, with `due` as the plan had it.
    #[must_use]
    pub fn figures(&self, due: u64, timeout_us: u64) -> Probe {
        let ok = self.count(Outcome::Ok);
        Probe {
            withheld: 0,
            due,
            ok,
            bad_status: self.count(Outcome::BadStatus),
            timeout: self.count(Outcome::Timeout),
            connect_failure: self.count(Outcome::ConnectFailure),
            aborted: self.count(Outcome::Aborted),
            not_sent: self.count(Outcome::NotSent),
            timeout_us,
            response_us: self.response.censored(Censored::AboveRank(ok)),
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
        self.dispatch
            .entry(part)
            .or_default()
            .add(tick.dispatch_us());
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

    /// All parts of `endpoint` together: response times, and how many are ok.
    #[must_use]
    pub fn whole(&self, endpoint: usize) -> (Times, u64) {
        let mut all = Times::default();
        let mut ok = 0;
        for (_, _, series) in self.all().filter(|&(_, this, _)| this == endpoint) {
            all.merge(&series.response);
            ok += series.count(Outcome::Ok);
        }
        (all, ok)
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
        assert_eq!(series.total(), 28);
        assert_eq!(series.response.len(), 28);
    }
}
