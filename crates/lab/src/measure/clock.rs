use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use verdict::record::{Event, Part, Timetable, When};
use verdict::units::us;

/// The cell's clock and when its parts begin.
///
/// The end of the tail and of the recovery are decided while checks are in flight. A check that was
/// due after such a boundary cannot be attributed before the boundary is set, because the boundary
/// is read from the clock under the lock that attribution takes.
#[derive(Clone, Debug)]
pub struct CellClock {
    origin: Instant,
    times: Arc<Mutex<Timetable>>,
}

impl CellClock {
    /// A clock that starts at `origin`, in the baseline.
    #[must_use]
    pub fn new(origin: Instant) -> Self {
        Self {
            origin,
            times: Arc::default(),
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
        self.lock().plan(part, start_us);
    }

    /// Lets `part` begin now and returns the time.
    pub fn begin(&self, part: impl Into<Part>) -> u64 {
        let mut times = self.lock();
        let now = self.now_us();
        times.begin(part, now);
        now
    }

    /// What is planned and what has begun, as it is now.
    #[must_use]
    pub fn times(&self) -> Timetable {
        self.lock().clone()
    }

    /// Where an event belongs that is seen now.
    #[must_use]
    pub fn when(&self, event: &Event) -> When {
        let times = self.lock();
        let now_us = self.now_us();
        When {
            part: times.at(event.seen_us(now_us)),
            window: times.window(times.at(now_us).step),
            now_us,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Timetable> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use verdict::record::Segment;

    #[test]
    fn what_begins_now_replaces_what_was_planned_for_later() {
        let clock = CellClock::new(Instant::now());
        clock.plan(Segment::Hold, 3_600_000_000);
        let now = clock.begin(Segment::Recovery);
        assert_eq!(clock.times().at(now), Segment::Recovery.into());
        assert_eq!(clock.times().at(3_600_000_001), Segment::Recovery.into());
    }
}
