use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::units::us;

/// A part of a cell's time to which checks are attributed, by when they were due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// Probe only.
    Baseline,
    /// The load builds up.
    Ramp,
    /// The whole load; what is judged.
    Hold,
    /// The load goes on until every check of the hold has its outcome.
    Tail,
    /// After the load.
    Recovery,
}

impl Segment {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [
        Self::Baseline,
        Self::Ramp,
        Self::Hold,
        Self::Tail,
        Self::Recovery,
    ];

    /// As it stands in tags and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Ramp => "ramp",
            Self::Hold => "hold",
            Self::Tail => "tail",
            Self::Recovery => "recovery",
        }
    }
}

/// The cell's clock and where its segments begin.
///
/// The end of the tail and of the recovery are decided while checks are in flight. A check that was
/// due after such a boundary cannot be attributed before the boundary is set, because the boundary
/// is read from the clock under the lock that attribution takes.
#[derive(Clone, Debug)]
pub struct Segments {
    origin: Instant,
    starts: Arc<Mutex<Vec<(u64, Segment)>>>,
}

impl Segments {
    /// A clock that starts at `origin`, in the baseline.
    #[must_use]
    pub fn new(origin: Instant) -> Self {
        Self {
            origin,
            starts: Arc::new(Mutex::new(vec![(0, Segment::Baseline)])),
        }
    }

    /// The start of the cell's clock.
    #[must_use]
    pub fn origin(&self) -> Instant {
        self.origin
    }

    /// `instant` on the cell's clock, in microseconds; 0 for what was before its start.
    #[must_use]
    pub fn us(&self, instant: Instant) -> u64 {
        us(instant.saturating_duration_since(self.origin))
    }

    /// The time on the cell's clock.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        self.us(Instant::now())
    }

    /// Plans `segment` to begin at `start_us`.
    pub fn plan(&self, segment: Segment, start_us: u64) {
        self.lock().push((start_us, segment));
    }

    /// Lets `segment` begin now and returns the time.
    pub fn begin(&self, segment: Segment) -> u64 {
        let mut starts = self.lock();
        let now = self.now_us();
        // Whatever was planned for later does not come any more.
        starts.retain(|&(start, _)| start <= now);
        starts.push((now, segment));
        now
    }

    /// The segment in which `at_us` lies.
    #[must_use]
    pub fn at(&self, at_us: u64) -> Segment {
        self.lock()
            .iter()
            .rev()
            .find(|&&(start, _)| start <= at_us)
            .map_or(Segment::Baseline, |&(_, segment)| segment)
    }

    /// Start and end of `segment`, if it has begun by `end_us`, the end of the cell.
    #[must_use]
    pub fn span(&self, segment: Segment, end_us: u64) -> Option<(u64, u64)> {
        let starts = self.lock();
        let position = starts.iter().position(|&(_, this)| this == segment)?;
        let start = starts[position].0;
        let end = starts
            .get(position + 1)
            .map_or(end_us, |&(next, _)| next.min(end_us));
        (start < end_us).then_some((start, end.max(start)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(u64, Segment)>> {
        self.starts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_belongs_to_what_begins_there() {
        let segments = Segments::new(Instant::now());
        segments.plan(Segment::Ramp, 1_000);
        segments.plan(Segment::Hold, 2_000);
        assert_eq!(segments.at(999), Segment::Baseline);
        assert_eq!(segments.at(1_000), Segment::Ramp);
        assert_eq!(segments.at(9_999), Segment::Hold);
        assert_eq!(segments.span(Segment::Ramp, 9_999), Some((1_000, 2_000)));
        assert_eq!(segments.span(Segment::Recovery, 9_999), None);
    }

    #[test]
    fn what_begins_early_replaces_what_was_planned_for_later() {
        let segments = Segments::new(Instant::now());
        segments.plan(Segment::Hold, 3_600_000_000);
        let now = segments.begin(Segment::Recovery);
        assert_eq!(segments.at(now), Segment::Recovery);
        assert_eq!(segments.at(3_600_000_001), Segment::Recovery);
    }
}
