use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::units::us;

/// One thing that must hold after a cell: `<metric> <operator> <value>`.
///
/// ```text
/// health_async.p99 <= 50ms
/// health_sync.unanswered >= 50%
/// streams.served_peak == pool_threads
/// diagnosis == blocking_pool_exhausted
/// ```
///
/// Metrics of a probe are those of the hold, over all outcomes. A value is a time with its unit, a
/// percentage, a number, `true`/`false`, or a word: the name of a parameter or of a diagnosis.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// Dotted name of what is measured.
    pub metric: String,
    /// How it is compared.
    pub operator: Operator,
    /// With what it is compared.
    pub value: Value,
    /// Whether it is what must hold because a condition must not, as `fail_if` has them.
    pub is_negated: bool,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Operator {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
}

/// The right-hand side of an expectation.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Microseconds.
    Time(u64),
    /// 0 to 100.
    Percent(f64),
    /// A plain number.
    Number(f64),
    /// `true` or `false`.
    Flag(bool),
    /// A parameter's name or a diagnosis.
    Word(String),
}

impl Expectation {
    /// What holds where this does not, if it was measured.
    #[must_use]
    pub fn negated(&self) -> Self {
        let operator = match self.operator {
            Operator::Less => Operator::GreaterOrEqual,
            Operator::LessOrEqual => Operator::Greater,
            Operator::Equal => Operator::NotEqual,
            Operator::NotEqual => Operator::Equal,
            Operator::GreaterOrEqual => Operator::Less,
            Operator::Greater => Operator::LessOrEqual,
        };
        Self {
            operator,
            is_negated: !self.is_negated,
            ..self.clone()
        }
    }

    /// As somebody wrote it.
    #[must_use]
    pub fn as_written(&self) -> Self {
        if self.is_negated {
            self.negated()
        } else {
            self.clone()
        }
    }

    /// Whether its value is the name of a diagnosis: of the cell, or of one of its steps.
    #[must_use]
    pub fn is_of_diagnosis(&self) -> bool {
        self.metric.rsplit('.').next() == Some("diagnosis")
    }
}

impl Operator {
    const ALL: [(&str, Self); 6] = [
        // Longer ones first: `<=` starts with `<`.
        ("<=", Self::LessOrEqual),
        (">=", Self::GreaterOrEqual),
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
        ("<", Self::Less),
        (">", Self::Greater),
    ];

    /// Whether `ordering` of measured to expected satisfies the operator.
    #[must_use]
    pub fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Greater => ordering.is_gt(),
        }
    }
}

impl FromStr for Expectation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Operator::ALL
            .iter()
            .filter_map(|&(symbol, operator)| text.find(symbol).map(|at| (at, symbol, operator)))
            // The first that stands in the text; of two at the same place the longer, which comes first.
            .min_by_key(|&(at, symbol, _)| (at, usize::MAX - symbol.len()));
        let Some((at, symbol, operator)) = found else {
            return Err(format!(
                "\"{text}\" compares nothing: write <metric> <operator> <value>, such as \"health_sync.p99 > 1s\""
            ));
        };
        let metric = text[..at].trim();
        let value = text[at + symbol.len()..].trim();
        let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if metric.is_empty() || !metric.chars().all(is_name) {
            return Err(format!(
                "\"{metric}\" in \"{text}\" is not the name of a metric"
            ));
        }
        let value = value
            .parse()
            .map_err(|error| format!("in \"{text}\": {error}"))?;
        Ok(Self {
            metric: metric.to_owned(),
            operator,
            value,
            is_negated: false,
        })
    }
}

impl FromStr for Value {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(flag) = text.parse() {
            return Ok(Self::Flag(flag));
        }
        let finite = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
        if let Some(number) = finite(text) {
            return Ok(Self::Number(number));
        }
        if let Some(percent) = text.strip_suffix('%') {
            return finite(percent.trim())
                .map(Self::Percent)
                .ok_or_else(|| format!("\"{text}\" is not a percentage"));
        }
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            return humantime::parse_duration(text)
                .map(|time| Self::Time(us(time)))
                .map_err(|error| {
                    format!("\"{text}\" is not a time ({error}): write one such as 250ms or 5s")
                });
        }
        if !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Ok(Self::Word(text.to_owned()));
        }
        Err(format!(
            "\"{text}\" is not a value: write a time (50ms), a percentage (1%), a number, or a name"
        ))
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let symbol = Self::ALL.iter().find(|(_, operator)| operator == self);
        f.write_str(symbol.map_or("?", |(symbol, _)| symbol))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(us) => write!(
                f,
                "{}",
                humantime::format_duration(std::time::Duration::from_micros(*us))
            ),
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Word(word) => f.write_str(word),
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.metric, self.operator, self.value)
    }
}

impl<'de> Deserialize<'de> for Expectation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Expectation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value_is_read() {
        let value = |text: &str| {
            text.parse::<Expectation>()
                .map(|e| (e.metric, e.operator, e.value))
        };
        assert_eq!(
            value("health_async.p99 <= 50ms"),
            Ok((
                "health_async.p99".into(),
                Operator::LessOrEqual,
                Value::Time(50_000)
            ))
        );
        assert_eq!(
            value("health_sync.unanswered>=50 %"),
            Ok((
                "health_sync.unanswered".into(),
                Operator::GreaterOrEqual,
                Value::Percent(50.0)
            ))
        );
        assert_eq!(
            value("streams.served_peak == pool_threads"),
            Ok((
                "streams.served_peak".into(),
                Operator::Equal,
                Value::Word("pool_threads".into())
            ))
        );
        assert_eq!(
            value("streams.lost < 1").map(|v| v.2),
            Ok(Value::Number(1.0))
        );
        assert_eq!(
            value("health.flat == true").map(|v| v.2),
            Ok(Value::Flag(true))
        );
    }

    #[test]
    fn what_cannot_be_read_says_what_would() {
        for (text, part) in [
            ("health.p99", "compares nothing"),
            ("health.p99 < 50 parsecs", "is not a time"),
            ("health p99 < 5ms", "is not the name of a metric"),
            ("health.p99 <", "is not a value"),
        ] {
            let error = text.parse::<Expectation>().expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
