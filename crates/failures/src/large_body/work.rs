use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::QueryTime;

/// The parameter `work` of a route that parses bodies: `?work=300ms` lets even a small body cost that
/// much, as one does that unfolds on the server or is checked at length. It is parsed over and over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Work {
    work: Option<QueryTime>,
}

impl Work {
    /// Whether a body costs more than its size tells.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.work.is_some()
    }

    /// Calls `parse` once, and then until the time is over, on the calling thread; the last result.
    ///
    /// # Errors
    /// The first error of `parse`.
    pub fn spend<T, E>(&self, mut parse: impl FnMut() -> Result<T, E>) -> Result<T, E> {
        let started = Instant::now();
        let time = self.work.map_or(Duration::ZERO, QueryTime::get);
        loop {
            let parsed = parse()?;
            if started.elapsed() >= time {
                return Ok(parsed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_parsed_once_unless_more_is_asked_for() {
        let count = |work: Work| {
            let mut calls = 0_u32;
            let started = Instant::now();
            let done: Result<(), ()> = work.spend(|| {
                calls += 1;
                Ok(())
            });
            assert_eq!(done, Ok(()));
            (calls, started.elapsed())
        };
        assert_eq!(count(Work::default()).0, 1);
        let work = Some(QueryTime::from_millis(20));
        let (calls, took) = count(Work { work });
        assert!(
            calls > 1 && took >= Duration::from_millis(20),
            "{calls} in {took:?}"
        );
    }

    #[test]
    fn an_error_ends_it_at_once() {
        let work = Some(QueryTime::from_millis(20));
        let mut calls = 0;
        let refused: Result<(), _> = Work { work }.spend(|| {
            calls += 1;
            Err(calls)
        });
        assert_eq!(refused, Err(1));
    }
}
