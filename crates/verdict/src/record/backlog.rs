//! The background tasks of a server over a cell, from looks at its gauges.

use std::time::Duration;

use super::Segment;
use super::gauges::BackgroundGauges;
use crate::summary::Background;
use crate::units::us;

/// How long after the load the background tasks are counted again, at most.
pub const LATER: Duration = Duration::from_secs(60);

/// A backlog that was watched for less says little of its pace: tasks end in waves, one for each
/// length of a task.
pub const LEAST_WATCH: Duration = Duration::from_secs(20);

/// A look: when, in microseconds on the cell's clock, and how many tasks were pending.
type Look = (u64, u64);

/// What was seen so far. Each look after the load is kept, and of those before it the last one, however
/// long the load lasts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backlog {
    peak: u64,
    before: Option<Look>,
    after: Vec<Look>,
    last: Option<BackgroundGauges>,
}

impl Backlog {
    /// Adds a look at `at_us`, in `segment`.
    pub(crate) fn add(&mut self, at_us: u64, gauges: BackgroundGauges, segment: Segment) {
        let look = (at_us, gauges.pending);
        if segment == Segment::Recovery {
            self.after.push(look);
        } else {
            self.before = Some(look);
            // They were after the load of an earlier step.
            self.after.clear();
        }
        self.peak = self.peak.max(gauges.pending);
        self.last = Some(gauges);
    }

    /// The figures; `None` if there was no look.
    pub(crate) fn figures(&self, load_end_us: Option<u64>) -> Option<Background> {
        let last = self.last?;
        let mut figures = Background {
            pending_peak: self.peak,
            completed: last.completed,
            refused: last.refused,
            ..Background::default()
        };
        let Some(end_us) = load_end_us else {
            return Some(figures);
        };
        let after = &self.after;
        figures.pending_end = self.before.map(|(_, pending)| pending);
        let later_us = end_us + us(LATER);
        if let Some(&(look, pending)) = after.iter().rfind(|&&(look, _)| look <= later_us) {
            figures.pending_later = Some(pending);
            figures.later_us = Some(look - end_us);
        }
        // Not the first empty look: a task may be accepted after the load, of a request that was read.
        let drained = after.iter().rposition(|&(_, pending)| pending > 0);
        let exact = match drained {
            None if figures.pending_end == Some(0) => Some(0),
            None => after.first().map(|&(look, _)| look - end_us),
            Some(last) => after.get(last + 1).map(|&(look, _)| look - end_us),
        };
        figures.drain_us = exact.or_else(|| extrapolated(after, end_us));
        figures.drain_extrapolated = exact.is_none() && figures.drain_us.is_some();
        Some(figures)
    }
}

/// When the line through the looks (least squares) meets zero.
fn extrapolated(looks: &[Look], end_us: u64) -> Option<u64> {
    let (first, last) = (looks.first()?.0, looks.last()?.0);
    if last - first < us(LEAST_WATCH) {
        return None;
    }
    let count = looks.len() as f64;
    let points = || {
        looks
            .iter()
            .map(|&(at, y)| ((at - end_us) as f64, y as f64))
    };
    let (x_mean, y_mean) = (
        points().map(|(x, _)| x).sum::<f64>() / count,
        points().map(|(_, y)| y).sum::<f64>() / count,
    );
    let covariance: f64 = points().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum();
    let variance: f64 = points().map(|(x, _)| (x - x_mean).powi(2)).sum();
    let slope = covariance / variance;
    (slope < 0.0).then(|| (x_mean - y_mean / slope).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    /// Four looks a second from the start; the load ends after 10 s.
    fn watched(seconds: u64, pending: impl Fn(u64) -> u64) -> Background {
        let mut backlog = Backlog::default();
        for at in (0..=4 * seconds).map(|n| n * SECOND / 4) {
            let gauges = BackgroundGauges {
                pending: pending(at),
                ..BackgroundGauges::default()
            };
            let segment = if at <= 10 * SECOND {
                Segment::Hold
            } else {
                Segment::Recovery
            };
            backlog.add(at, gauges, segment);
        }
        backlog.figures(Some(10 * SECOND)).expect("looks")
    }

    /// 40 threads, tasks of 10 s that began together: 40 fewer every 10 s.
    fn in_waves(at: u64) -> u64 {
        2_000_u64.saturating_sub(40 * (at / (10 * SECOND)))
    }

    #[test]
    fn a_drain_that_was_watched_is_exact() {
        let figures = watched(30, |at| (20 * SECOND).saturating_sub(at) / SECOND);
        assert_eq!(figures.pending_end, Some(10));
        assert_eq!(
            (figures.pending_later, figures.later_us),
            (Some(0), Some(20 * SECOND))
        );
        let drain = figures.drain_us.expect("drained");
        assert!((9 * SECOND..=10 * SECOND).contains(&drain), "{drain}");
        assert!(!figures.drain_extrapolated);
    }

    #[test]
    fn a_drain_that_was_not_waited_for_follows_from_the_pace_and_says_so() {
        let figures = watched(100, in_waves);
        assert_eq!(figures.pending_end, Some(1_960));
        assert_eq!(
            (figures.pending_later, figures.later_us),
            (Some(1_720), Some(60 * SECOND))
        );
        assert!(figures.drain_extrapolated);
        let drain = figures.drain_us.expect("extrapolated") as f64 / 1e6;
        assert!((drain / 490.0 - 1.0).abs() < 0.03, "{drain}");
    }

    #[test]
    fn a_few_seconds_are_not_extrapolated_and_nothing_is_known_before_the_load_ends() {
        let figures = watched(20, in_waves);
        assert_eq!(
            (figures.drain_us, figures.drain_extrapolated),
            (None, false)
        );
        let growing = watched(60, |at| at / SECOND);
        assert_eq!(growing.drain_us, None);
        let mut backlog = Backlog::default();
        assert_eq!(backlog.figures(None), None);
        backlog.add(
            5,
            BackgroundGauges {
                pending: 3,
                ..BackgroundGauges::default()
            },
            Segment::Hold,
        );
        let figures = backlog.figures(None).expect("a look");
        assert_eq!((figures.pending_peak, figures.pending_end), (3, None));
    }

    #[test]
    fn nothing_pending_is_drained_at_once() {
        let figures = watched(30, |_| 0);
        assert_eq!((figures.pending_end, figures.drain_us), (Some(0), Some(0)));
    }

    #[test]
    fn of_an_hour_under_load_one_look_is_kept_and_the_peak() {
        let mut backlog = Backlog::default();
        for at in 0..14_400 {
            let gauges = BackgroundGauges {
                pending: if at == 7_000 { 40 } else { 3 },
                ..BackgroundGauges::default()
            };
            backlog.add(at, gauges, Segment::Hold);
        }
        let figures = backlog.figures(Some(14_400)).expect("looks");
        assert_eq!((figures.pending_peak, figures.pending_end), (40, Some(3)));
        assert!(backlog.after.is_empty());
    }
}
