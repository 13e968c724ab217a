//! Whether what had to hold did.

use std::cmp::Ordering;

use super::metric::{Measured, metric};
use crate::scenario::{Expectation, Operator, Value};
use crate::summary::{Outcome, Summary};

/// Judges each expectation. What was not measured does not hold, so that none can pass because its
/// load or its probe was not there.
#[must_use]
pub fn judge(expectations: &[Expectation], summary: &Summary) -> Vec<Outcome> {
    expectations
        .iter()
        .map(|expectation| judge_one(expectation, summary))
        .collect()
}

fn judge_one(expectation: &Expectation, summary: &Summary) -> Outcome {
    let measured = metric(&expectation.metric, summary);
    let held = measured
        .as_ref()
        .is_some_and(|measured| holds(expectation, measured, summary));
    let shown = match &measured {
        None => "not measured".to_owned(),
        Some(measured) if measured.censored => format!("≥ {}", measured.value),
        Some(measured) => measured.value.to_string(),
    };
    Outcome {
        name: expectation.metric.clone(),
        expected: format!("{} {}", expectation.operator, expectation.value),
        measured: shown,
        held,
    }
}

fn holds(expectation: &Expectation, measured: &Measured, summary: &Summary) -> bool {
    let Some(ordering) = compare(&measured.value, &expectation.value, summary) else {
        return false;
    };
    let is_lower_bound_enough = matches!(
        expectation.operator,
        Operator::Greater | Operator::GreaterOrEqual
    );
    expectation.operator.holds(ordering) && (!measured.censored || is_lower_bound_enough)
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
