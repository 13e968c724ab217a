//! Predictions: `number("unserved", "streams.unserved", 0.0).why("no stream waits for another")`.

use crate::judge::flat;
use crate::summary::{Bound, Forecast, Unit};

/// A prediction of `metric`, exact until it is said to be a bound.
fn row(unit: Unit, name: &str, metric: &str, predicted: f64) -> Forecast {
    Forecast {
        name: name.to_owned(),
        metric: metric.to_owned(),
        formula: String::new(),
        unit,
        predicted,
        limit: None,
        bound: Bound::Exact,
        measured: None,
        measured_censored: false,
        error_percent: None,
        verdict: None,
    }
}

/// A prediction of a time in microseconds.
pub(crate) fn micros(name: &str, metric: &str, predicted: f64) -> Forecast {
    row(Unit::Us, name, metric, predicted)
}

/// A prediction of how many.
pub(crate) fn number(name: &str, metric: &str, predicted: impl Into<f64>) -> Forecast {
    row(Unit::Count, name, metric, predicted.into())
}

/// A prediction of a share.
pub(crate) fn percent(name: &str, metric: &str, predicted: f64) -> Forecast {
    row(Unit::Percent, name, metric, predicted)
}

/// A prediction of a rate.
pub(crate) fn per_second(name: &str, metric: &str, predicted: f64) -> Forecast {
    row(Unit::PerSecond, name, metric, predicted)
}

/// The share of an endpoint's checks that are not answered, in percent.
pub(crate) fn unanswered(endpoint: &str, predicted: f64) -> Forecast {
    let name = format!("{endpoint}_unanswered");
    percent(&name, &format!("{endpoint}.unanswered"), predicted)
}

/// Checks of an endpoint that find nothing in their way.
pub(crate) fn stays_flat(endpoint: &str) -> Forecast {
    let name = format!("{endpoint}_p99");
    micros(&name, &format!("{endpoint}.p99"), flat::FLOOR_US as f64).at_most()
}

/// The event loop has nothing to do but to hand things on.
pub(crate) fn async_never_waits() -> Forecast {
    unanswered("health_async", 0.0).why("the event loop is free: an async check never waits")
}

impl Forecast {
    /// The law, with its numbers.
    pub(crate) fn why(self, formula: impl Into<String>) -> Self {
        Self {
            formula: formula.into(),
            ..self
        }
    }

    /// The measurement is at most this.
    pub(crate) fn at_most(self) -> Self {
        Self {
            bound: Bound::AtMost,
            ..self
        }
    }

    /// The measurement is at least this, if a timeout cuts it off.
    pub(crate) fn at_least_if(self, is_cut: bool) -> Self {
        let bound = if is_cut { Bound::AtLeast } else { self.bound };
        Self { bound, ..self }
    }

    /// What it tends to in the long run.
    pub(crate) fn with_limit(self, limit: f64) -> Self {
        Self {
            limit: Some(limit),
            ..self
        }
    }
}
