//! Times in a query: how long the work of a request is to take.

use std::time::Duration;

use serde::Deserialize;

/// A time in a query, such as `?work=250ms`. It is at most [`MAX`](Self::MAX), so that no request can
/// hold a thread for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct QueryTime(Duration);

impl QueryTime {
    /// The longest that is taken.
    pub const MAX: Duration = Duration::from_secs(60);

    /// For defaults.
    ///
    /// # Panics
    /// If it is longer than [`MAX`](Self::MAX).
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        let time = Duration::from_millis(millis);
        assert!(time.as_millis() <= Self::MAX.as_millis());
        Self(time)
    }

    /// The time.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Blocking work that takes this time, as a job for a pool. The calling thread sleeps, which stands
    /// for any call that makes its thread wait.
    #[expect(
        clippy::disallowed_methods,
        reason = "the work itself; which thread it holds is decided by whoever is handed it"
    )]
    pub fn blocking_work(self) -> impl FnOnce() + Send + 'static {
        move || std::thread::sleep(self.0)
    }
}

impl TryFrom<String> for QueryTime {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let time = service::duration(&text)?;
        if time > Self::MAX {
            return Err(format!("{text} is longer than {:?}", Self::MAX));
        }
        Ok(Self(time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<QueryTime, String> {
        text.to_owned().try_into()
    }

    #[test]
    fn a_time_has_a_unit_and_a_bound() {
        assert_eq!(parse("1s"), Ok(QueryTime::from_millis(1000)));
        assert_eq!(parse("1m").map(QueryTime::get), Ok(QueryTime::MAX));
        assert!(parse("5").unwrap_err().contains("write a time such as"));
        assert!(parse("61s").unwrap_err().contains("longer than 60s"));
    }
}
