//! The positive control: an expectation that nothing can fail proves nothing.

use super::{expectations, forecast};
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

/// One expectation of one variant, held against what was measured elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// The scenario.
    pub scenario: String,
    /// The variant.
    pub variant: String,
    /// The expectation.
    pub expectation: String,
    /// The run that fails it, as `scenario / cell / variant`; `None` if none does.
    pub failed_by: Option<String>,
}

/// Holds each expectation against the valid runs of other variants, those of its own scenario first:
/// broken as if it were fixed, and the reverse. A run that did not measure the metric is no control.
/// One that no server here fails (an error of a forecast, a lost stream) is held against a forecast
/// that was made for another cell, and then against its own run with the load spoiled.
#[must_use]
pub fn control(judged: &[Judged<'_>]) -> Vec<Control> {
    let mut controls: Vec<Control> = Vec::new();
    for own in judged {
        for expectation in &own.expectations {
            let control = Control {
                scenario: own.summary.scenario.clone(),
                variant: own.summary.variant.clone(),
                expectation: expectation.to_string(),
                failed_by: failed_by(expectation, own.summary, judged),
            };
            let same = |one: &&mut Control| {
                (&one.scenario, &one.variant, &one.expectation)
                    == (&control.scenario, &control.variant, &control.expectation)
            };
            match controls.iter_mut().find(same) {
                Some(known) => known.failed_by = known.failed_by.take().or(control.failed_by),
                None => controls.push(control),
            }
        }
    }
    controls
}

fn failed_by(expectation: &Expectation, own: &Summary, judged: &[Judged<'_>]) -> Option<String> {
    let others = judged
        .iter()
        .map(|one| one.summary)
        .filter(|other| other.quality.valid)
        .filter(|other| (&other.scenario, &other.variant) != (&own.scenario, &own.variant));
    let (same, elsewhere): (Vec<_>, Vec<_>) =
        others.partition(|other| other.scenario == own.scenario);
    let failing = same
        .into_iter()
        .chain(elsewhere)
        .find(|other| expectations::is_failed_by(expectation, other))
        .map(|other| format!("{} / {} / {}", other.scenario, other.cell, other.variant));
    failing
        .or_else(|| foreign_forecast(expectation, own, judged))
        .or_else(|| {
            let spoiled = spoiled(own);
            expectations::is_failed_by(expectation, &spoiled)
                .then(|| "its own run, spoiled".to_owned())
        })
}

/// For an expectation of a forecast: what was forecast for another cell, held against this run.
fn foreign_forecast(
    expectation: &Expectation,
    own: &Summary,
    judged: &[Judged<'_>],
) -> Option<String> {
    expectation.metric.strip_prefix("forecast.")?;
    judged.iter().map(|one| one.summary).find_map(|other| {
        let mut swapped = own.clone();
        swapped.forecast = other.forecast.clone();
        forecast::settle(&mut swapped.forecast, own);
        expectations::is_failed_by(expectation, &swapped).then(|| {
            format!(
                "the forecast of {} / {} / {}",
                other.scenario, other.cell, other.variant
            )
        })
    })
}

/// The same run, had its load fared as badly as a load can: for what no server here gets wrong.
fn spoiled(own: &Summary) -> Summary {
    let mut spoiled = own.clone();
    spoil(&mut spoiled.phases.load);
    for step in &mut spoiled.steps {
        spoil(&mut step.load);
        step.diagnosis.kind = Kind::Undecided;
    }
    // A law that is off by a factor of two; what was to be nothing is something.
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
        outcomes.response_us = Distribution {
            max: Some(1),
            ..Distribution::default()
        };
    }
    load.streams.truncated = load.streams.started;
    load.streams.unserved = load.streams.started;
    for cohort in load.streams.cohorts.values_mut() {
        cohort.truncated = cohort.started;
        cohort.ttft_us = Distribution {
            p50: Some(u64::MAX),
            p99: Some(u64::MAX),
            max: Some(u64::MAX),
            ..cohort.ttft_us.clone()
        };
    }
    for probe in load.probes.values_mut() {
        (probe.ok, probe.timeout) = (0, probe.due);
        let timeout = Some(probe.timeout_us);
        probe.response_us = Distribution {
            p50: timeout,
            p99: timeout,
            max: timeout,
            p50_censored: true,
            p99_censored: true,
            max_censored: true,
            ..probe.response_us.clone()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::sample::{hurt, summary};

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
