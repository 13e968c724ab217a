use crate::names::names;

/// A part of a cell's time to which checks are attributed, by when they were due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// Probe only.
    Baseline,
    /// The load builds up.
    Ramp,
    /// The whole load; what is judged.
    Hold,
    /// The load goes on until every check and request of it that is judged has its outcome.
    Tail,
    /// After the load.
    Recovery,
}

names!(Segment {
    Baseline = "baseline",
    Ramp = "ramp",
    Hold = "hold",
    Tail = "tail",
    Recovery = "recovery",
});

impl Segment {
    /// Whether the load is under way: from the ramp to the tail.
    #[must_use]
    pub fn is_under_load(self) -> bool {
        matches!(self, Self::Ramp | Self::Hold | Self::Tail)
    }
}

/// A segment of a cell, or of one of its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part {
    /// The step, from 0; `None` for what belongs to none.
    pub step: Option<usize>,
    /// Which segment of it.
    pub segment: Segment,
}

impl Part {
    /// `segment` of `step`.
    #[must_use]
    pub fn of(step: Option<usize>, segment: Segment) -> Self {
        Self { step, segment }
    }
}

impl From<Segment> for Part {
    fn from(segment: Segment) -> Self {
        Self::of(None, segment)
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.segment.name())?;
        self.step.map_or(Ok(()), |step| write!(f, "-{}", step + 1))
    }
}

/// When the parts of a cell begin, in microseconds on its clock.
#[derive(Clone, Debug)]
pub struct Timetable {
    starts: Vec<(u64, Part)>,
}

impl Default for Timetable {
    fn default() -> Self {
        Self {
            starts: vec![(0, Segment::Baseline.into())],
        }
    }
}

impl Timetable {
    /// Plans `part` to begin at `start_us`.
    pub fn plan(&mut self, part: impl Into<Part>, start_us: u64) {
        self.starts.push((start_us, part.into()));
    }

    /// Lets `part` begin at `now_us`: whatever was planned for later does not come any more.
    pub fn begin(&mut self, part: impl Into<Part>, now_us: u64) {
        self.starts.retain(|&(start, _)| start <= now_us);
        self.starts.push((now_us, part.into()));
    }

    /// The part in which `at_us` lies.
    #[must_use]
    pub fn at(&self, at_us: u64) -> Part {
        let mut starts = self.starts.iter().rev();
        let found = starts.find(|&&(start, _)| start <= at_us);
        found.map_or(Segment::Baseline.into(), |&(_, part)| part)
    }

    /// Every part that has begun by `end_us`, in order.
    #[must_use]
    pub fn begun(&self, end_us: u64) -> Vec<Part> {
        let begun = self.starts.iter().filter(|&&(start, _)| start < end_us);
        begun.map(|&(_, part)| part).collect()
    }

    /// Start and end of `part`, if it has begun by `end_us`, the end of the cell.
    #[must_use]
    pub fn span(&self, part: impl Into<Part>, end_us: u64) -> Option<(u64, u64)> {
        let part = part.into();
        let position = self.starts.iter().position(|&(_, this)| this == part)?;
        let start = self.starts[position].0;
        let next = self.starts.get(position + 1);
        let end = next.map_or(end_us, |&(next, _)| next.min(end_us));
        (start < end_us).then_some((start, end.max(start)))
    }

    /// The window of the load of `step`, as planned; nothing lies in it if nothing is.
    #[must_use]
    pub fn window(&self, step: Option<usize>) -> Window {
        let span = |segment| self.span(Part::of(step, segment), u64::MAX);
        let (start_us, ramp_end_us) = span(Segment::Ramp).unwrap_or_default();
        let (hold_us, end_us) = span(Segment::Hold).unwrap_or((ramp_end_us, ramp_end_us));
        Window {
            start_us,
            hold_us,
            end_us,
        }
    }
}

/// The times by which a load is judged, in microseconds on the cell's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Start of the load.
    pub start_us: u64,
    /// Start of the hold, when the whole load is there.
    pub hold_us: u64,
    /// End of the hold.
    pub end_us: u64,
}

impl Window {
    /// Whether `at_us` lies in it.
    #[must_use]
    pub fn contains(&self, at_us: u64) -> bool {
        (self.start_us..self.end_us).contains(&at_us)
    }

    /// Whether `at_us` lies in its hold.
    #[must_use]
    pub fn is_hold(&self, at_us: u64) -> bool {
        (self.hold_us..self.end_us).contains(&at_us)
    }

    /// Its length in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.end_us.saturating_sub(self.start_us) as f64 / 1e6
    }

    /// The length of its hold in seconds.
    #[must_use]
    pub fn hold_seconds(&self) -> f64 {
        self.end_us.saturating_sub(self.hold_us) as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_belongs_to_what_begins_there() {
        let mut times = Timetable::default();
        times.plan(Segment::Ramp, 1_000);
        times.plan(Segment::Hold, 2_000);
        assert_eq!(times.at(999).segment, Segment::Baseline);
        assert_eq!(times.at(1_000).segment, Segment::Ramp);
        assert_eq!(times.at(9_999).segment, Segment::Hold);
        assert_eq!(times.span(Segment::Ramp, 9_999), Some((1_000, 2_000)));
        assert_eq!(times.span(Segment::Recovery, 9_999), None);
    }

    #[test]
    fn what_begins_early_replaces_what_was_planned_for_later() {
        let mut times = Timetable::default();
        times.plan(Segment::Hold, 3_600_000_000);
        times.begin(Segment::Recovery, 700);
        assert_eq!(times.at(700), Segment::Recovery.into());
        assert_eq!(times.at(3_600_000_001), Segment::Recovery.into());
    }

    #[test]
    fn each_step_has_segments_of_its_own() {
        let mut times = Timetable::default();
        for (step, start) in [(0, 1_000), (1, 5_000)] {
            let part = |segment| Part::of(Some(step), segment);
            times.plan(part(Segment::Hold), start);
            times.plan(part(Segment::Recovery), start + 2_000);
        }
        let hold = |step| times.span(Part::of(Some(step), Segment::Hold), 9_000);
        assert_eq!(hold(0), Some((1_000, 3_000)));
        assert_eq!(hold(1), Some((5_000, 7_000)));
        assert_eq!(times.span(Segment::Hold, 9_000), None);
        assert_eq!(times.at(5_500).to_string(), "hold-2");
    }

    #[test]
    fn a_load_is_judged_from_its_ramp_to_the_end_of_its_hold() {
        let mut times = Timetable::default();
        assert_eq!(times.window(None), Window::default());
        times.plan(Segment::Ramp, 1_000);
        times.plan(Segment::Hold, 2_000);
        times.plan(Segment::Tail, 5_000);
        let window = times.window(None);
        assert!(window.contains(1_000) && window.contains(4_999));
        assert!(!window.contains(999) && !window.contains(5_000));
        assert!(window.is_hold(2_000) && !window.is_hold(1_999));
    }
}
