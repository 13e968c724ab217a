//! Whether the expectations of a cell hold.

use std::cmp::Ordering;

use super::steps;
use crate::metrics::{Measured, is_of_load, measured};
use crate::scenario::{Expectation, Operator, Value};
use crate::summary::{Outcome, Summary};
use crate::units;

/// Judges each expectation. An expectation about something that was not measured fails. Otherwise it
/// would pass because its load or its probe was missing.
#[must_use]
pub fn judge(expectations: &[Expectation], summary: &Summary) -> Vec<Outcome> {
    expectations
        .iter()
        .map(|expectation| judge_one(expectation, summary))
        .collect()
}

/// Whether `summary` measured what the expectation is about, and fails it. False if the two cannot be
/// compared, for example because `summary` lacks a parameter that the expectation names.
#[must_use]
pub fn is_failed_by(expectation: &Expectation, summary: &Summary) -> bool {
    measured(&expectation.metric, summary)
        .is_some_and(|measured| holds(expectation, &measured, summary) == Some(false))
}

/// Of a target, a condition that must not hold must not hold in any step, and the first in which it does is
/// named. Everything else is judged of the summary, whose load is that of the last step.
fn judge_one(expectation: &Expectation, summary: &Summary) -> Outcome {
    let outcome = judge_whole(expectation, summary);
    let is_of_every_step = expectation.is_negated && summary.attach.is_some();
    if !is_of_every_step || !is_of_load(&expectation.metric) {
        return outcome;
    }
    for step in &summary.steps {
        let view = steps::view(summary, step);
        if is_failed_by(expectation, &view) {
            let of_step = judge_whole(expectation, &view);
            // What is the same in every step is not of one.
            if of_step.measured == outcome.measured {
                return outcome;
            }
            let measured = format!("{} in the step of {}", of_step.measured, step.name);
            return Outcome {
                measured,
                ..of_step
            };
        }
    }
    outcome
}

fn judge_whole(expectation: &Expectation, summary: &Summary) -> Outcome {
    let measured = measured(&expectation.metric, summary);
    let held = measured
        .as_ref()
        .is_some_and(|measured| holds(expectation, measured, summary) == Some(true));
    let shown = match &measured {
        None => "not measured".to_owned(),
        Some(measured) if measured.censored => format!("≥ {}", for_people(&measured.value)),
        Some(measured) => for_people(&measured.value),
    };
    Outcome {
        name: expectation.metric.clone(),
        expected: format!("{} {}", expectation.operator, expectation.value),
        measured: shown,
        held,
    }
}

/// In the format of the lab's other output. The expected value stays as it was written.
fn for_people(measured: &Value) -> String {
    match measured {
        Value::Time(us) => units::time(*us as f64),
        Value::Percent(percent) => units::percent(*percent),
        other => other.to_string(),
    }
}

/// `None` if the two cannot be compared.
fn holds(expectation: &Expectation, measured: &Measured, summary: &Summary) -> Option<bool> {
    let mut ordering = compare(&measured.value, &expectation.value, summary)?;
    if expectation.is_of_diagnosis() && is_of_family(expectation, summary) {
        ordering = Ordering::Equal;
    }
    let is_lower_bound_enough = matches!(
        expectation.operator,
        Operator::Greater | Operator::GreaterOrEqual
    );
    Some(expectation.operator.holds(ordering) && (!measured.censored || is_lower_bound_enough))
}

/// Whether the expectation names the family of the diagnosis that was found, instead of its kind.
fn is_of_family(expectation: &Expectation, summary: &Summary) -> bool {
    let family = format!("{}.family", expectation.metric);
    measured(&family, summary).is_some_and(|family| family.value == expectation.value)
}

/// `None` if the two cannot be compared.
fn compare(measured: &Value, expected: &Value, summary: &Summary) -> Option<Ordering> {
    match (measured, expected) {
        (Value::Time(a), Value::Time(b)) => Some(a.cmp(b)),
        (Value::Percent(a), Value::Percent(b)) | (Value::Number(a), Value::Number(b)) => {
            a.partial_cmp(b)
        }
        (Value::Flag(a), Value::Flag(b)) => Some(a.cmp(b)),
        (Value::Word(a), Value::Word(b)) => Some(a.cmp(b)),
        (Value::Number(a), Value::Word(parameter)) => {
            a.partial_cmp(&(*summary.parameters.get(parameter)? as f64))
        }
        (Value::Time(a), Value::Word(parameter)) => Some(a.cmp(summary.parameters.get(parameter)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::test_steps::{attached, step};
    use crate::sample::{hurt, summary};
    use crate::summary::{Family, Kind, LoadPhase, Step, StreamFigures};

    fn judged(text: &str, summary: &Summary) -> Outcome {
        judge_one(&text.parse().expect("an expectation"), summary)
    }

    #[test]
    fn what_holds_and_what_does_not() {
        let summary = summary();
        for text in [
            "health_sync.p99 <= 1ms",
            "health_sync.flat == true",
            "streams.served_peak == streams",
            "streams.lost == 0",
            "pool.busy_peak < pool_threads",
            "diagnosis == healthy",
            "diagnosis.member == none",
        ] {
            assert!(judged(text, &summary).held, "{text}");
        }
        for text in [
            "health_sync.p99 > 1ms",
            "health_sync.unanswered >= 50%",
            "streams.served_peak == pool_threads",
            "diagnosis == cpu_saturated",
            "diagnosis != healthy",
        ] {
            assert!(!judged(text, &summary).held, "{text}");
        }
    }

    #[test]
    fn what_was_not_measured_does_not_hold() {
        let mut summary = summary();
        summary.phases.load.streams = StreamFigures::default();
        summary.phases.load.probes.clear();
        summary.server.pool = None;
        for text in [
            "streams.lost == 0",
            "streams.unserved < 1",
            "health_sync.unanswered == 0%",
            "health_sync.p99 < 5s",
            "health_sync.flat != false",
            "pool.busy_peak < 5",
            "inferred_capacity != 4",
            "forecast.unserved.error < 10%",
        ] {
            let outcome = judged(text, &summary);
            assert!(!outcome.held, "{text} holds without a measurement");
            assert_eq!(outcome.measured, "not measured", "{text}");
        }
    }

    #[test]
    fn a_lower_bound_can_prove_more_than_but_never_less_than() {
        let mut summary = summary();
        summary
            .phases
            .load
            .probes
            .insert("health_sync".into(), hurt());
        assert!(judged("health_sync.p99 >= 5s", &summary).held);
        assert!(!judged("health_sync.p99 <= 10s", &summary).held);
        assert!(!judged("health_sync.p99 >= 6s", &summary).held);
        assert_eq!(
            judged("health_sync.p99 >= 5s", &summary).measured,
            "≥ 5.00 s"
        );
    }

    #[test]
    fn things_of_different_kinds_do_not_compare() {
        let summary = summary();
        assert!(!judged("health_sync.p99 < 5", &summary).held);
        assert!(!judged("health_sync.unanswered == 0", &summary).held);
    }

    #[test]
    fn what_cannot_be_compared_is_failed_by_nothing() {
        let summary = summary();
        let failed = |text: &str| is_failed_by(&text.parse().expect("an expectation"), &summary);
        assert!(failed("streams.served_peak == pool_threads"));
        for text in [
            "streams.served_peak == max_upstream",
            "health_sync.p99 < no_such_parameter_us",
            "health_sync.p99 < 5",
            "health_sync.unanswered == 0",
        ] {
            assert!(!failed(text), "{text}");
        }
    }

    #[test]
    fn a_diagnosis_is_called_by_its_kind_and_by_its_family() {
        let mut summary = summary();
        summary.diagnosis.kind = Kind::BlockingPoolExhausted;
        summary.diagnosis.family = Family::LimitSharedWithHealth;
        for name in ["blocking_pool_exhausted", "limit_shared_with_health"] {
            assert!(judged(&format!("diagnosis == {name}"), &summary).held);
            assert!(!judged(&format!("diagnosis != {name}"), &summary).held);
        }
        for text in [
            "diagnosis != healthy",
            "diagnosis != loop_blocked",
            "diagnosis.family != healthy",
        ] {
            assert!(judged(text, &summary).held, "{text}");
        }
    }

    #[test]
    fn a_condition_on_a_target_is_looked_for_in_every_step() {
        let bad = Step {
            load: LoadPhase {
                probes: [("health_sync".to_owned(), hurt())].into(),
                ..step(1, 1).load
            },
            ..step(1, 1)
        };
        let summary = attached(vec![bad, step(4, 4), step(8, 8)]);
        let judged = |text: &str, is_gate: bool| {
            let condition: Expectation = text.parse().expect("one");
            let expectation = if is_gate {
                condition.negated()
            } else {
                condition
            };
            judge_one(&expectation, &summary)
        };
        let broken = judged("health_sync.p99 > 50ms", true);
        assert!(!broken.held);
        assert_eq!(broken.measured, "≥ 5.00 s in the step of 1");
        assert!(judged("streams.lost > 0", true).held);
        assert!(judged("steps.8.health_sync.p99 > 50ms", true).held);
        assert!(!judged("steps.1.health_sync.p99 > 50ms", true).held);
        let baseline = judged("health_sync.baseline_p99 > 1us", true);
        assert!(
            !baseline.held && !baseline.measured.contains("step"),
            "{baseline:?}"
        );
        // What is expected is expected of the last step.
        assert!(judged("health_sync.p99 < 50ms", false).held);
    }
}
