use serde::Serialize;

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
