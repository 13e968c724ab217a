//! What a value of a scenario may be: loads are bounded in count and in time, whatever a file says.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The longest time that anything but a stream may take.
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// A time in milliseconds.
pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A value and whether it is one that can be run.
pub(crate) struct Range {
    /// Dotted key.
    pub key: String,
    /// Whether the value lies in it.
    pub fits: bool,
    /// What would.
    pub range: String,
}

/// The ranges of the values of one table.
pub(crate) struct Ranges {
    table: String,
    all: Vec<Range>,
}

impl Ranges {
    /// None yet, of the table of this dotted name.
    pub(crate) fn of(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            all: Vec::new(),
        }
    }

    /// The value of `key` must be as `range` says, and `fits` if it is; of the whole table if `key` is
    /// empty.
    pub(crate) fn must(mut self, key: &str, fits: bool, range: impl Into<String>) -> Self {
        let key = match key {
            "" => self.table.clone(),
            key => format!("{}.{key}", self.table),
        };
        self.all.push(Range {
            key,
            fits,
            range: range.into(),
        });
        self
    }

    /// The value of `key` must lie in `range`, if there is one.
    pub(crate) fn within<T: Bound>(
        self,
        key: &str,
        value: impl Into<Option<T>>,
        range: RangeInclusive<T>,
    ) -> Self {
        let fits = value.into().is_none_or(|value| range.contains(&value));
        let text = format!("{} to {}", range.start().shown(), range.end().shown());
        self.must(key, fits, text)
    }

    /// The value of `key` must not be larger than `most`.
    pub(crate) fn at_most<T: Bound>(self, key: &str, value: T, most: T) -> Self {
        self.must(key, value <= most, format!("at most {}", most.shown()))
    }

    /// The value of `key` must be the path of a URL.
    pub(crate) fn path(self, key: &str, path: &str) -> Self {
        self.must(key, path.starts_with('/'), "a path that starts with /")
    }

    pub(crate) fn into_vec(self) -> Vec<Range> {
        self.all
    }
}

/// A value that can be a bound.
pub(crate) trait Bound: PartialOrd {
    /// As a file would have it.
    fn shown(&self) -> String;
}

macro_rules! number_bounds {
    ($($number:ty),*) => {$(
        impl Bound for $number {
            fn shown(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

number_bounds!(u32, u64, usize, f64);

impl Bound for Duration {
    fn shown(&self) -> String {
        humantime::format_duration(*self).to_string()
    }
}

/// Names of endpoints and classes become tags of the interval log and columns of the timeline.
pub(crate) fn is_series_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    !name.is_empty() && name.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_said_as_a_file_would_have_it() {
        let said = |ranges: Ranges| ranges.into_vec().remove(0).range;
        let any = || Ranges::of("t");
        assert_eq!(said(any().within("a", 5, 1..=20_000_u32)), "1 to 20000");
        assert_eq!(said(any().within("a", 5.0, 0.1..=1000.0)), "0.1 to 1000");
        let times = ms(500)..=HOUR;
        assert_eq!(said(any().within("a", ms(1), times)), "500ms to 1h");
        assert_eq!(said(any().at_most("a", HOUR, 2 * HOUR)), "at most 2h");
    }

    #[test]
    fn what_is_absent_fits_and_the_key_is_that_of_the_table() {
        let ranges = Ranges::of("t").within("a", None, 1..=2_u32);
        let ranges = ranges.within("b", 3, 1..=2_u32).must("", true, "all");
        let all = ranges.into_vec();
        let keys: Vec<_> = all.iter().map(|one| (one.key.as_str(), one.fits)).collect();
        assert_eq!(keys, [("t.a", true), ("t.b", false), ("t", true)]);
    }
}
