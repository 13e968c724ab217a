use crate::metrics::unit::MetricUnit;
use crate::scenario::{Cell, Value};
use crate::summary::{Distribution, Summary};

/// Metrics that the same cells have.
#[derive(Debug)]
pub struct Group {
    /// What they are about.
    pub title: &'static str,
    /// What a cell must have in its file; empty if nothing.
    pub needs: &'static str,
    /// Whether a cell has it, and which names may stand for the first `<…>`.
    pub names: fn(&Asked<'_>) -> Names,
    /// The metrics.
    pub metrics: &'static [Metric],
}

/// What is known of a cell before it is run.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The cell.
    pub cell: &'a Cell,
    /// The names of what may be forecast of it.
    pub forecasts: &'a [String],
}

/// Which names may stand for the first `<…>` of a metric in a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// None: the cell has no such load.
    None,
    /// Any: nothing stands for it, or what does is not known before the run.
    Any,
    /// These.
    Of(Vec<String>),
}

impl Names {
    /// Any name, if the cell has the load.
    #[must_use]
    pub fn any_if(has_load: bool) -> Self {
        if has_load { Self::Any } else { Self::None }
    }
}

/// One metric, or one for each figure of a distribution.
#[derive(Debug)]
pub struct Metric {
    /// Dotted. `<…>` stands for a name, such as that of a class, and `<figure>` for each of [`FIGURES`].
    pub name: &'static str,
    /// What it means, in one line.
    pub about: &'static str,
    /// How it is read.
    pub read: Read,
}

/// A line of the table.
pub(crate) const fn metric(name: &'static str, about: &'static str, read: Read) -> Metric {
    Metric { name, about, read }
}

impl Metric {
    /// The unit of its values.
    #[must_use]
    pub fn unit(&self) -> MetricUnit {
        match self.read {
            Read::Count(_) => MetricUnit::Count,
            Read::Bytes(_) => MetricUnit::Bytes,
            Read::Time(_) | Read::TimeOrBound(_) | Read::Figures(_) => MetricUnit::Us,
            Read::Percent(_) => MetricUnit::Percent,
            Read::PerSecond(_) => MetricUnit::PerSecond,
            Read::Flag(_) => MetricUnit::Flag,
            Read::Word(_) => MetricUnit::Text,
        }
    }

    /// Its name, or one for each figure.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let is_many = matches!(self.read, Read::Figures(_));
        let figures = FIGURES.iter().take(if is_many { FIGURES.len() } else { 1 });
        figures.map(|(figure, _)| self.name.replace(FIGURE, figure))
    }
}

/// Reads a value, given what stands in the name for each `<…>`; `None` if it was not measured.
type Reader<T> = fn(&Summary, &[&str]) -> Option<T>;

/// How a metric is read from a summary. The kind says the unit.
#[derive(Debug)]
pub enum Read {
    /// A whole number.
    Count(Reader<u64>),
    /// Bytes.
    Bytes(Reader<u64>),
    /// Microseconds.
    Time(Reader<u64>),
    /// Microseconds, and whether they are a lower bound.
    TimeOrBound(Reader<(u64, bool)>),
    /// 0 to 100, or more where a part may exceed its whole.
    Percent(Reader<f64>),
    /// A rate.
    PerSecond(Reader<f64>),
    /// Yes or no.
    Flag(Reader<bool>),
    /// One of some words.
    Word(Reader<&'static str>),
    /// Times, each figure of which is a metric.
    Figures(for<'a> fn(&'a Summary, &[&str]) -> Option<&'a Distribution>),
}

/// A time of a distribution in microseconds, if it was measured, and whether it is a lower bound.
pub type Figure = fn(&Distribution) -> (Option<u64>, bool);

/// Stands in a name for each of [`FIGURES`].
pub(super) const FIGURE: &str = "<figure>";

/// What is asked of a distribution.
pub const FIGURES: [(&str, Figure); 7] = [
    ("p50", |times| (times.p50, times.p50_censored)),
    ("p90", |times| (times.p90, times.p90_censored)),
    ("p95", |times| (times.p95, times.p95_censored)),
    ("p99", |times| (times.p99, times.p99_censored)),
    ("p999", |times| (times.p999, times.p999_censored)),
    ("max", |times| (times.max, times.max_censored)),
    ("mean", |times| (times.mean, times.max_censored)),
];

/// A measured value.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The value.
    pub value: Value,
    /// Whether it is a lower bound.
    pub censored: bool,
}
