//! Figures for files and for people: the same everywhere.

use std::time::Duration;

/// A time in microseconds, the unit of every figure that the lab writes.
#[must_use]
pub fn us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// A time for people: three significant digits and a fitting unit.
#[must_use]
pub fn time(us: f64) -> String {
    match us {
        us if us < 999.5 => format!("{us:.0} µs"),
        us if us < 9_995.0 => format!("{:.2} ms", us / 1e3),
        us if us < 99_950.0 => format!("{:.1} ms", us / 1e3),
        us if us < 999_500.0 => format!("{:.0} ms", us / 1e3),
        us if us < 9_995_000.0 => format!("{:.2} s", us / 1e6),
        us if us < 99_950_000.0 => format!("{:.1} s", us / 1e6),
        us => format!("{:.0} s", us / 1e6),
    }
}

/// A time for people, with ≥ before one that is only a lower bound; n/a if there is none.
#[must_use]
pub fn time_or_bound(us: Option<u64>, is_bound: bool) -> String {
    let bound = if is_bound { "≥ " } else { "" };
    us.map_or("n/a".to_owned(), |us| format!("{bound}{}", time(us as f64)))
}

/// Memory for people.
#[must_use]
pub fn bytes(bytes: f64) -> String {
    const MIB: f64 = 1_048_576.0;
    if bytes < 1_024.0 * MIB {
        format!("{:.1} MiB", bytes / MIB)
    } else {
        format!("{:.2} GiB", bytes / (1_024.0 * MIB))
    }
}

/// A rate for people.
#[must_use]
pub fn per_second(rate: f64) -> String {
    match rate {
        rate if rate < 9.995 => format!("{rate:.2} /s"),
        rate if rate < 99.95 => format!("{rate:.1} /s"),
        rate => format!("{rate:.0} /s"),
    }
}

/// A percentage for people.
#[must_use]
pub fn percent(percent: f64) -> String {
    if percent == 0.0 || percent >= 99.95 {
        format!("{percent:.0} %")
    } else {
        format!("{percent:.1} %")
    }
}

/// A count for people: whole where it is whole.
#[must_use]
pub fn count(count: f64) -> String {
    if count.fract() == 0.0 {
        format!("{count:.0}")
    } else {
        format!("{count:.1}")
    }
}

/// Width of a terminal that does not tell its own.
pub const WIDTH: usize = 80;

/// `text` after `first`, broken at spaces to [`WIDTH`], further lines after `rest`.
#[must_use]
pub fn wrapped(first: &str, rest: &str, text: &str) -> String {
    let mut lines = String::new();
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in text.split(' ') {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push_str(&line);
            lines.push('\n');
            line = rest.to_owned();
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    lines.push_str(&line);
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_three_digits_across_units() {
        for (us, text) in [
            (7.0, "7 µs"),
            (999.4, "999 µs"),
            (1_234.0, "1.23 ms"),
            (12_345.0, "12.3 ms"),
            (123_456.0, "123 ms"),
            (5_001_215.0, "5.00 s"),
            (16_200_000.0, "16.2 s"),
        ] {
            assert_eq!(time(us), text);
        }
    }
}
