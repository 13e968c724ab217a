//! The positive control. An expectation that no run can fail proves nothing.

use super::expectations;
use crate::forecast;
use crate::scenario::Expectation;
use crate::summary::{Distribution, Kind, LoadPhase, Pool, Summary};

/// A cell with what had to hold in it.
#[derive(Clone, Debug)]
pub struct Judged<'a> {
    /// What had to hold.
    pub expectations: Vec<Expectation>,
    /// What was measured.
    pub summary: &'a Summary,
}

/// One expectation of one cell of a variant, compared with what was measured in other runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// The scenario.
    pub scenario: String,
    /// The cell.
    pub cell: String,
    /// The variant.
    pub variant: String,
    /// The expectation.
    pub expectation: String,
    /// What fails it; `None` if nothing does.
    pub failed_by: Option<FailedBy>,
}

impl Control {
    fn is_of_the_same(&self, other: &Self) -> bool {
        (&self.scenario, &self.cell, &self.variant, &self.expectation)
            == (
                &other.scenario,
                &other.cell,
                &other.variant,
                &other.expectation,
            )
    }
}

/// What fails an expectation, from the strongest evidence that it can fail to the weakest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailedBy {
    /// A run of the same cell with another variant: only the server differs.
    SameCell,
    /// A run of another cell and another variant of the scenario: the load may make the difference.
    OtherCell,
    /// A run of another scenario: it shows only that the metric can have such a value.
    OtherScenario,
    /// No other run, but this run with a forecast that was made for another cell or variant.
    Forecast,
    /// Nothing that was measured or forecast, but this run with a load that went as badly as possible.
    Spoiled,
}

/// Compares each expectation with the valid runs of other variants. A run that did not measure the metric
/// is no control. Some expectations no server here fails, such as an error of a forecast or a lost stream.
/// They are compared with a forecast that was made for another cell or variant, and then with their own run
/// with the load spoiled.
#[must_use]
pub fn control(judged: &[Judged<'_>]) -> Vec<Control> {
    let mut controls: Vec<Control> = Vec::new();
    for own in judged {
        for expectation in &own.expectations {
            let control = Control {
                scenario: own.summary.scenario.clone(),
                cell: own.summary.cell.clone(),
                variant: own.summary.variant.clone(),
                expectation: expectation.to_string(),
                failed_by: failed_by(expectation, own.summary, judged),
            };
            let same = |one: &&mut Control| one.is_of_the_same(&control);
            match controls.iter_mut().find(same) {
                // Of several repeats, keep the one with the strongest evidence.
                Some(known) => {
                    let both = [known.failed_by, control.failed_by];
                    known.failed_by = both.into_iter().flatten().min();
                }
                None => controls.push(control),
            }
        }
    }
    controls
}

fn failed_by(expectation: &Expectation, own: &Summary, judged: &[Judged<'_>]) -> Option<FailedBy> {
    let fails = |run: &Summary| expectations::is_failed_by(expectation, run);
    let others = judged.iter().map(|one| one.summary);
    let by_run = others
        .clone()
        .filter(|other| other.quality.valid)
        .filter(|other| (&other.scenario, &other.variant) != (&own.scenario, &own.variant))
        .filter(|other| fails(other))
        .map(
            |other| match (other.scenario == own.scenario, other.cell == own.cell) {
                (true, true) => FailedBy::SameCell,
                (true, false) => FailedBy::OtherCell,
                (false, _) => FailedBy::OtherScenario,
            },
        );
    let fails_foreign = |other: &Summary| {
        let mut swapped = own.clone();
        swapped.forecast.clone_from(&other.forecast);
        forecast::settle(&mut swapped.forecast, own);
        !std::ptr::eq(other, own) && fails(&swapped)
    };
    let is_of_forecast = expectation.metric.starts_with("forecast.");
    by_run
        .min()
        .or_else(|| {
            (is_of_forecast && others.clone().any(fails_foreign)).then_some(FailedBy::Forecast)
        })
        .or_else(|| fails(&spoiled(own)).then_some(FailedBy::Spoiled))
}

/// Which run it is, as `scenario / cell / variant`.
#[must_use]
pub fn place(summary: &Summary) -> String {
    format!(
        "{} / {} / {}",
        summary.scenario, summary.cell, summary.variant
    )
}

/// The same run with a load that went as badly as possible. It is the control for what no server here
/// gets wrong.
fn spoiled(own: &Summary) -> Summary {
    let mut spoiled = own.clone();
    spoil(&mut spoiled.phases.load);
    for step in &mut spoiled.steps {
        spoil(&mut step.load);
        step.diagnosis.kind = Kind::Undecided;
    }
    // Each law is off by a factor of two. A forecast of nothing becomes something.
    for row in &mut spoiled.forecast {
        row.predicted = 2.0 * row.predicted + 1.0;
    }
    forecast::settle(&mut spoiled.forecast, own);
    let capacity = &mut spoiled.diagnosis.inferred_capacity;
    *capacity = capacity.map(|capacity| capacity + 1);
    if let Some(pool) = &mut spoiled.server.pool {
        *pool = Pool {
            capacity: pool.capacity,
            ..Pool::default()
        };
    }
    spoiled
}

fn spoil(load: &mut LoadPhase) {
    for class in load.requests.values_mut() {
        let outcomes = &mut class.outcomes;
        (outcomes.ok, outcomes.timeout, class.unanswered) = (0, outcomes.due, 0);
        (class.completed, class.throughput_per_second) = (0, Some(0.0));
        outcomes.response_us = all_of(&outcomes.response_us, u64::MAX, false);
    }
    load.streams.truncated = load.streams.started;
    load.streams.unserved = load.streams.started;
    for cohort in load.streams.cohorts.values_mut() {
        cohort.truncated = cohort.started;
        cohort.ttft_us = all_of(&cohort.ttft_us, u64::MAX, false);
    }
    for probe in load.probes.values_mut() {
        (probe.ok, probe.timeout) = (0, probe.due);
        probe.response_us = all_of(&probe.response_us, probe.timeout_us, true);
    }
}

/// The same figures, as if every answer took exactly `us`, or at least `us`.
fn all_of(figures: &Distribution, us: u64, is_bound: bool) -> Distribution {
    let so_long = |figure: Option<u64>| figure.map(|_| us);
    Distribution {
        count: figures.count,
        min: so_long(figures.min),
        mean: so_long(figures.mean),
        p50: so_long(figures.p50),
        p90: so_long(figures.p90),
        p95: so_long(figures.p95),
        p99: so_long(figures.p99),
        p999: so_long(figures.p999),
        max: so_long(figures.max),
        p50_censored: is_bound,
        p90_censored: is_bound,
        p95_censored: is_bound,
        p99_censored: is_bound,
        p999_censored: is_bound,
        max_censored: is_bound,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::sample::{fast, hurt, summary};
    use crate::summary::{Loop, RequestFigures};

    fn judged<'a>(summary: &'a Summary, expectations: &[&str]) -> Judged<'a> {
        Judged {
            expectations: expectations
                .iter()
                .map(|text| text.parse().expect("an expectation"))
                .collect(),
            summary,
        }
    }

    fn valid(variant: &str) -> Summary {
        let mut summary = summary();
        summary.variant = variant.to_owned();
        summary.quality.valid = true;
        summary
    }

    #[test]
    fn what_the_other_variant_would_satisfy_as_well_is_named() {
        let fixed = valid("fixed");
        let mut broken = valid("broken");
        let probes = &mut broken.phases.load.probes;
        probes.insert("health_sync".to_owned(), hurt());
        let all = [
            judged(
                &broken,
                &["health_sync.unanswered >= 50%", "streams.started > 0"],
            ),
            judged(&fixed, &["health_sync.unanswered == 0%"]),
        ];
        let failed: Vec<_> = control(&all)
            .into_iter()
            .map(|control| (control.expectation, control.failed_by.is_some()))
            .collect();
        assert_eq!(
            failed,
            [
                ("health_sync.unanswered >= 50%".to_owned(), true),
                ("streams.started > 0".to_owned(), false),
                ("health_sync.unanswered == 0%".to_owned(), true),
            ]
        );
    }

    /// A run with a class of requests that were answered within `max` microseconds.
    fn answered(variant: &str, cell: &str, max: u64) -> Summary {
        let mut run = valid(variant);
        cell.clone_into(&mut run.cell);
        let mut class = RequestFigures {
            outcomes: fast(),
            unanswered: 0,
            arrivals: Loop::Open,
            path: "/".to_owned(),
            users: None,
            offered_per_second: None,
            think_us: 0,
            statuses: BTreeMap::new(),
            completed: 600,
            throughput_per_second: None,
            completed_by_second: Vec::new(),
            little: None,
        };
        class.outcomes.response_us.max = Some(max);
        let classes = &mut run.phases.load.requests;
        classes.insert("small".to_owned(), class);
        run
    }

    #[test]
    fn a_cell_does_not_clear_another_with_the_same_expectation() {
        let measured = answered("fixed", "measured", 10_000);
        let mut unmeasured = valid("fixed");
        "unmeasured".clone_into(&mut unmeasured.cell);
        let text = ["requests.small.max <= 1s"];
        let all = [judged(&measured, &text), judged(&unmeasured, &text)];
        let found: Vec<_> = control(&all)
            .into_iter()
            .map(|control| (control.cell, control.failed_by))
            .collect();
        assert_eq!(
            found,
            [
                ("measured".to_owned(), Some(FailedBy::Spoiled)),
                ("unmeasured".to_owned(), None),
            ]
        );
    }

    #[test]
    fn no_load_is_spoiled_by_faring_better() {
        let slow = answered("broken", "only", 2_000_000);
        let all = [judged(
            &slow,
            &["requests.small.max >= 1s", "requests.small.max <= 3s"],
        )];
        let found: Vec<_> = control(&all).into_iter().map(|one| one.failed_by).collect();
        assert_eq!(found, [None, Some(FailedBy::Spoiled)]);
    }

    #[test]
    fn the_strongest_evidence_is_the_one_that_counts() {
        let own = answered("fixed", "b", 10);
        let mut elsewhere = answered("broken", "b", 2_000_000);
        "elsewhere".clone_into(&mut elsewhere.scenario);
        let other_cell = answered("broken-x", "a", 2_000_000);
        let same_cell = answered("broken-x", "b", 2_000_000);
        let mut all = vec![judged(&own, &["requests.small.max <= 1s"])];
        let mut found = vec![control(&all).remove(0).failed_by];
        for run in [&elsewhere, &other_cell, &same_cell] {
            all.push(judged(run, &[]));
            found.push(control(&all).remove(0).failed_by);
        }
        let expected = [
            FailedBy::Spoiled,
            FailedBy::OtherScenario,
            FailedBy::OtherCell,
            FailedBy::SameCell,
        ];
        assert_eq!(found, expected.map(Some));
    }

    #[test]
    fn another_cell_is_no_control_where_the_same_one_fails_it() {
        let own = answered("fixed", "b", 10);
        let text = ["requests.small.max <= 1s"];
        let [passes, fails] = [10, 2_000_000].map(|max| answered("broken", "b", max));
        let elsewhere = answered("broken", "a", 2_000_000);
        let found = |same: &Summary| {
            let all = [
                judged(&own, &text),
                judged(&elsewhere, &[]),
                judged(same, &[]),
            ];
            control(&all).remove(0).failed_by
        };
        assert_eq!(found(&fails), Some(FailedBy::SameCell));
        assert_eq!(found(&passes), Some(FailedBy::OtherCell));
    }

    #[test]
    fn what_was_not_measured_is_no_control() {
        let mut broken = valid("broken");
        broken.server.pool = None;
        let fixed = valid("fixed");
        let all = [
            judged(&fixed, &["pool.capacity == 4"]),
            judged(&broken, &[]),
        ];
        assert_eq!(control(&all)[0].failed_by, None);
    }
}
