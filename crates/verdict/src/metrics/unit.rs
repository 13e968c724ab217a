use serde::Serialize;

use crate::scenario::Value;
use crate::summary::Unit;
use crate::units::{bytes, count, per_second, percent, time};

/// The unit of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricUnit {
    /// Microseconds.
    Us,
    /// Bytes.
    Bytes,
    /// Percent.
    Percent,
    /// A count.
    Count,
    /// A rate.
    PerSecond,
    /// Yes or no.
    Flag,
    /// Words.
    Text,
}

impl MetricUnit {
    /// A number of this unit, for people.
    #[must_use]
    pub fn shown(self, number: f64) -> String {
        match self {
            Self::Us => time(number),
            Self::Bytes => bytes(number),
            Self::Percent => percent(number),
            Self::PerSecond => per_second(number),
            Self::Count | Self::Flag | Self::Text => count(number),
        }
    }

    /// Whether a metric of it can be compared with `value`. A word may be a parameter, which is a number or a
    /// time.
    #[must_use]
    pub fn takes(self, value: &Value) -> bool {
        match value {
            Value::Time(_) => self == Self::Us,
            Value::Percent(_) => self == Self::Percent,
            Value::Number(_) => matches!(self, Self::Count | Self::Bytes | Self::PerSecond),
            Value::Flag(_) => self == Self::Flag,
            Value::Word(_) => !matches!(self, Self::Percent | Self::Flag),
        }
    }

    /// What a metric of it is compared with, and an example.
    pub(super) fn asked(self) -> (&'static str, &'static str) {
        match self {
            Self::Us => ("a time with its unit", "50ms"),
            Self::Bytes => ("a number of bytes", "1000000"),
            Self::Percent => ("a percentage", "1%"),
            Self::Count => ("a number", "3"),
            Self::PerSecond => ("a number a second", "10"),
            Self::Flag => ("true or false", "true"),
            Self::Text => ("a name", "healthy"),
        }
    }

    /// What it is called, and how a value of it is written in an expectation.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Us => "time",
            Self::Bytes => "bytes",
            Self::Percent => "percent",
            Self::Count => "count",
            Self::PerSecond => "per second",
            Self::Flag => "true or false",
            Self::Text => "word",
        }
    }
}

impl From<Unit> for MetricUnit {
    fn from(unit: Unit) -> Self {
        match unit {
            Unit::Us => Self::Us,
            Unit::Count => Self::Count,
            Unit::Percent => Self::Percent,
            Unit::PerSecond => Self::PerSecond,
        }
    }
}
