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

impl Segment {
    /// Whether the load is under way: from the ramp to the tail.
    #[must_use]
    pub fn is_under_load(self) -> bool {
        matches!(self, Self::Ramp | Self::Hold | Self::Tail)
    }

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
