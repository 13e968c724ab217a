use serde::Serialize;

use crate::number::number;
use crate::shape::{BadParameter, NONE};

/// The slowest that a service may become under load.
const MOST_FACTOR: f64 = 1_000.0;

/// How much goes on at once, and what that does to the pace.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Limits {
    /// Answers under way at once; `None` is no limit.
    pub max_running: Option<u32>,
    /// Requests that may wait to run; further ones are refused.
    pub max_queued: u32,
    /// How many times as slow the service is with `max_running` answers under way.
    pub load_factor: f64,
}

impl Limits {
    /// Sets one of the keys, by the text that a flag has.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the value.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "max_running" if value == NONE => self.max_running = None,
            "max_running" => self.max_running = Some(running(value)?),
            "max_queued" => self.max_queued = queued(value)?,
            "load_factor" => self.load_factor = load_factor(value)?,
            _ => return Err("unknown; there are max_running, max_queued and load_factor".into()),
        }
        Ok(())
    }

    /// Checks that the limits go together.
    ///
    /// # Errors
    /// The limit to blame.
    pub fn check(&self) -> Result<(), BadParameter> {
        if self.load_factor > 1.0 && self.max_running.is_none() {
            return Err(BadParameter {
                name: "load_factor".into(),
                reason: "needs max_running, which says what full load is".into(),
            });
        }
        Ok(())
    }

    /// How many times as slow the service is with `running` answers under way: 1 with one answer, rising
    /// evenly to the load factor with `max_running`.
    #[must_use]
    pub fn factor(&self, running: u32) -> f64 {
        let Some(most) = self.max_running.filter(|most| *most > 1) else {
            return 1.0;
        };
        let load = f64::from(running.saturating_sub(1)) / f64::from(most - 1);
        // More may run than the limit says, if it was lowered meanwhile.
        1.0 + (self.load_factor - 1.0) * load.min(1.0)
    }
}

/// Reads a number of answers under way.
///
/// # Errors
/// A sentence that gives the range.
pub fn running(text: &str) -> Result<u32, String> {
    number(text, 1, u32::MAX)
}

/// Reads a length of the queue.
///
/// # Errors
/// A sentence that gives the range.
pub fn queued(text: &str) -> Result<u32, String> {
    number(text, 0, u32::MAX)
}

/// Reads a load factor.
///
/// # Errors
/// A sentence that gives the range.
pub fn load_factor(text: &str) -> Result<f64, String> {
    number(text, 1.0, MOST_FACTOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factor_grows_evenly_from_the_first_to_the_last_place() {
        let limits = Limits {
            max_running: Some(5),
            max_queued: 0,
            load_factor: 3.0,
        };
        let factors = [0, 1, 2, 3, 5, 9].map(|running| limits.factor(running));
        assert_eq!(factors, [1.0, 1.0, 1.5, 2.0, 3.0, 3.0]);
        for max_running in [None, Some(1)] {
            let limits = Limits {
                max_running,
                ..limits
            };
            assert_eq!(limits.factor(9), 1.0);
        }
    }
}
