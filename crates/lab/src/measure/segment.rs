use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use verdict::record::{Part, Segment};
use verdict::units::us;

/// The cell's clock and where its segments begin.
///
/// The end of the tail and of the recovery are decided while checks are in flight. A check that was
/// due after such a boundary cannot be attributed before the boundary is set, because the boundary
/// is read from the clock under the lock that attribution takes.
#[derive(Clone, Debug)]
pub struct Segments {
    origin: Instant,
    starts: Arc<Mutex<Vec<(u64, Part)>>>,
}

impl Segments {
    /// A clock that starts at `origin`, in the baseline.
    #[must_use]
    pub fn new(origin: Instant) -> Self {
        Self {
            origin,
            starts: Arc::new(Mutex::new(vec![(0, Segment::Baseline.into())])),
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

    /// Plans `part` to begin at `start_us`.
    pub fn plan(&self, part: impl Into<Part>, start_us: u64) {
        self.lock().push((start_us, part.into()));
    }

    /// Lets `part` begin now and returns the time.
    pub fn begin(&self, part: impl Into<Part>) -> u64 {
        let mut starts = self.lock();
        let now = self.now_us();
        // Whatever was planned for later does not come any more.
        starts.retain(|&(start, _)| start <= now);
        starts.push((now, part.into()));
        now
    }

    /// The part in which `at_us` lies.
    #[must_use]
    pub fn at(&self, at_us: u64) -> Part {
        self.lock()
            .iter()
            .rev()
            .find(|&&(start, _)| start <= at_us)
            .map_or(Segment::Baseline.into(), |&(_, part)| part)
    }

    /// Every part that has begun by `end_us`, in order.
    #[must_use]
    pub fn begun(&self, end_us: u64) -> Vec<Part> {
        let starts = self.lock();
        let begun = starts.iter().filter(|&&(start, _)| start < end_us);
        begun.map(|&(_, part)| part).collect()
    }

    /// Start and end of `part`, if it has begun by `end_us`, the end of the cell.
    #[must_use]
    pub fn span(&self, part: impl Into<Part>, end_us: u64) -> Option<(u64, u64)> {
        let part = part.into();
        let starts = self.lock();
        let position = starts.iter().position(|&(_, this)| this == part)?;
        let start = starts[position].0;
        let end = starts
            .get(position + 1)
            .map_or(end_us, |&(next, _)| next.min(end_us));
        (start < end_us).then_some((start, end.max(start)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(u64, Part)>> {
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
        assert_eq!(segments.at(999).segment, Segment::Baseline);
        assert_eq!(segments.at(1_000).segment, Segment::Ramp);
        assert_eq!(segments.at(9_999).segment, Segment::Hold);
        assert_eq!(segments.span(Segment::Ramp, 9_999), Some((1_000, 2_000)));
        assert_eq!(segments.span(Segment::Recovery, 9_999), None);
    }

    #[test]
    fn what_begins_early_replaces_what_was_planned_for_later() {
        let segments = Segments::new(Instant::now());
        segments.plan(Segment::Hold, 3_600_000_000);
        let now = segments.begin(Segment::Recovery);
        assert_eq!(segments.at(now), Segment::Recovery.into());
        assert_eq!(segments.at(3_600_000_001), Segment::Recovery.into());
    }

    #[test]
    fn each_step_has_segments_of_its_own() {
        let segments = Segments::new(Instant::now());
        for (step, start) in [(0, 1_000), (1, 5_000)] {
            let part = |segment| Part::of(Some(step), segment);
            segments.plan(part(Segment::Hold), start);
            segments.plan(part(Segment::Recovery), start + 2_000);
        }
        let hold = |step| segments.span(Part::of(Some(step), Segment::Hold), 9_000);
        assert_eq!(hold(0), Some((1_000, 3_000)));
        assert_eq!(hold(1), Some((5_000, 7_000)));
        assert_eq!(segments.span(Segment::Hold, 9_000), None);
        assert_eq!(segments.at(5_500).to_string(), "hold-2");
    }
}
