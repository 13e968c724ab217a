//! The share of the traffic that takes the async path.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The environment variable that [`Percentage::from_env`] reads.
pub const PERCENTAGE_ENV: &str = "ASYNC_ROLLOUT_PERCENTAGE";

/// A whole number from 0 to 100: the share of keys whose requests take the async path, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Percentage(u8);

/// A text or number that is no whole number from 0 to 100.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is no percentage: give a whole number from 0 to 100")]
#[non_exhaustive]
pub struct PercentageError {
    /// What was given.
    pub given: String,
}

impl Percentage {
    /// Everything on the blocking path.
    pub const NONE: Self = Self(0);
    /// Everything on the async path.
    pub const ALL: Self = Self(100);

    /// As a number from 0 to 100.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }

    /// What `ASYNC_ROLLOUT_PERCENTAGE` says; `None` if it is not set.
    ///
    /// # Errors
    /// [`PercentageError`] if it is set to anything but a whole number from 0 to 100. A typing mistake
    /// must not pass for 0.
    pub fn from_env() -> Result<Option<Self>, PercentageError> {
        let Some(value) = std::env::var_os(PERCENTAGE_ENV) else {
            return Ok(None);
        };
        value.to_string_lossy().parse().map(Some)
    }

    /// The percentage of a number that [`get`](Self::get) returned.
    pub(super) fn clamped(percent: u8) -> Self {
        Self(percent.min(100))
    }
}

impl TryFrom<u64> for Percentage {
    type Error = PercentageError;

    fn try_from(percent: u64) -> Result<Self, PercentageError> {
        match u8::try_from(percent) {
            Ok(percent @ 0..=100) => Ok(Self(percent)),
            _ => Err(PercentageError {
                given: percent.to_string(),
            }),
        }
    }
}

impl From<Percentage> for u64 {
    fn from(percentage: Percentage) -> Self {
        percentage.0.into()
    }
}

impl FromStr for Percentage {
    type Err = PercentageError;

    fn from_str(text: &str) -> Result<Self, PercentageError> {
        let refused = || PercentageError {
            given: text.to_owned(),
        };
        let percent: u64 = text.parse().map_err(|_| refused())?;
        percent.try_into().map_err(|_| refused())
    }
}

impl fmt::Display for Percentage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_numbers_from_0_to_100_are_percentages() {
        let read = |text: &str| text.parse::<Percentage>().map(Percentage::get);
        assert_eq!((read("0"), read("100")), (Ok(0), Ok(100)));
        for wrong in ["101", "-1", "5.5", "5%", "", " 5", "256", "1e2"] {
            let error = read(wrong).unwrap_err();
            assert_eq!(error.given, wrong);
        }
        assert_eq!(
            read("101").unwrap_err().to_string(),
            "`101` is no percentage: give a whole number from 0 to 100"
        );
    }

    #[test]
    fn json_is_held_to_the_same_range() {
        assert_eq!(serde_json::to_string(&Percentage(20)).unwrap(), "20");
        assert_eq!(
            serde_json::from_str::<Percentage>("20").unwrap(),
            Percentage(20)
        );
        for wrong in ["101", "-1", "5.5", "\"5\"", "null"] {
            serde_json::from_str::<Percentage>(wrong).unwrap_err();
        }
    }
}
