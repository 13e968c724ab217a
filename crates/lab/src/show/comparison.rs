//! The comparison as aligned text, as Markdown and as JSON.

use std::ops::Range;

use super::claims;
use super::grid::Grid;
use super::json;
use verdict::judge::comparison::{Comparison, ComparisonRow, Figure, Provenance, Spread};
use verdict::metrics::MetricUnit;
use verdict::units::{bytes, wrapped};

/// How a comparison is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Aligned, for a terminal.
    Text,
    /// A table for a README.
    Markdown,
    /// For programs.
    Json,
}

/// The comparison in the given format, with a newline at its end.
#[must_use]
pub fn render(comparisons: &[Comparison], format: Format) -> String {
    let each = |shown: fn(&Comparison) -> String| {
        let shown = comparisons.iter().map(shown);
        shown.collect::<Vec<_>>().join("\n")
    };
    match format {
        Format::Text => each(text),
        Format::Markdown => each(markdown),
        Format::Json => json(comparisons),
    }
}

/// Columns that fit into 80 characters beside the labels.
const COLUMNS: usize = 3;

/// A header longer than this is broken at its hyphens.
const HEADER: usize = 14;

fn text(comparison: &Comparison) -> String {
    let count = comparison.variants.len();
    let tables = (0..count).step_by(COLUMNS).map(|start| {
        let part = start..count.min(start + COLUMNS);
        // The range of a ratio would not fit; Markdown and JSON have it.
        let ratio = |ratio: Spread| times(ratio.median);
        let mut grid = grid(comparison, part, ratio);
        for heading in &mut grid.header[1..] {
            *heading = broken_at_hyphens(heading);
        }
        for (_, cells) in &mut grid.rows {
            cells[0].insert_str(0, "  ");
        }
        grid.text(" ", "  ")
    });
    let mut text = tables.collect::<Vec<_>>().join("\n");
    for line in footer(comparison)
        .into_iter()
        .chain(claims::sentences(&comparison.claims))
    {
        text.push_str(&wrapped("", "  ", &line));
    }
    text
}

/// A name in lines of at most [`HEADER`] characters where its hyphens allow it.
fn broken_at_hyphens(name: &str) -> String {
    let mut lines = vec![String::new()];
    for part in name.split_inclusive('-') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + part.chars().count() <= HEADER => {
                line.push_str(part);
            }
            _ => lines.push(part.to_owned()),
        }
    }
    lines.retain(|line| !line.is_empty());
    lines.join("\n")
}

/// Some of the variants, with the ratio of two as `show` has it.
fn grid(comparison: &Comparison, part: Range<usize>, show: impl Fn(Spread) -> String) -> Grid {
    let has_ratio = has_ratio(comparison);
    let mut header = vec![format!("{} / {}", comparison.scenario, comparison.cell)];
    header.extend(part.clone().map(|n| {
        let mark = if comparison.repeats[n].is_invalid {
            " (INVALID)"
        } else {
            ""
        };
        format!("{}{mark}", comparison.variants[n])
    }));
    header.extend(has_ratio.then(|| "ratio".to_owned()));
    let row = |row: &ComparisonRow| {
        let mut cells = vec![row.label.clone()];
        let figures = row.values[part.clone()].iter();
        cells.extend(figures.map(|figure| value(figure, row.unit)));
        if has_ratio {
            // One of percentages or of counts would say nothing.
            let ratio = row.ratio.filter(|_| row.unit == MetricUnit::Us);
            cells.push(ratio.map(&show).unwrap_or_default());
        }
        (row.group.to_owned(), cells)
    };
    Grid {
        header,
        rows: comparison.rows.iter().map(row).collect(),
        left: None,
    }
}

fn markdown(comparison: &Comparison) -> String {
    let all = 0..comparison.variants.len();
    let table = grid(comparison, all, |ratio| spread(ratio, times)).markdown();
    let mut lines = footer(comparison);
    lines.push(claims::markdown(&comparison.claims));
    lines.extend(comparison.made_by.iter().map(provenance));
    let lines: String = lines
        .iter()
        .map(|line| format!("{}\n\n", line.trim_end()))
        .collect();
    format!("{table}\n{lines}").trim_end().to_owned() + "\n"
}

pub(super) fn provenance(made: &Provenance) -> String {
    let cpu = made.cpu.as_deref().unwrap_or("unknown processor");
    let memory = made
        .memory_bytes
        .map_or("unknown memory".to_owned(), |memory| bytes(memory as f64));
    format!(
        "Made by `{}` on {}, with lab {} of commit {}, on {}, {cpu}, {} cores, {memory}.",
        made.command, made.day, made.lab_version, made.git_commit, made.os, made.cores
    )
}

fn has_ratio(comparison: &Comparison) -> bool {
    comparison.rows.iter().any(|row| row.ratio.is_some())
}

pub(super) fn value(figure: &Figure, unit: MetricUnit) -> String {
    match figure {
        Figure::Missing => "n/a".to_owned(),
        Figure::Text(text) => text.clone(),
        Figure::Number(numbers) => spread(*numbers, |number| unit.shown(number)),
    }
}

/// A ratio: digits where they say something.
fn times(ratio: f64) -> String {
    if ratio < 10.0 {
        format!("{ratio:.2}×")
    } else {
        format!("{ratio:.0}×")
    }
}

/// The median, and the range if there is one: `2.14 ms (1.95–2.16)`, with the unit again only where it
/// is another one.
fn spread(spread: Spread, show: impl Fn(f64) -> String) -> String {
    let bound = if spread.censored { "≥ " } else { "" };
    let (median, min, max) = (show(spread.median), show(spread.min), show(spread.max));
    if min == max {
        return format!("{bound}{median}");
    }
    let unit = |text: &str| {
        text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')
            .to_owned()
    };
    let of_median = unit(&median);
    let range = if unit(&min) == of_median && unit(&max) == of_median {
        let bare = |text: &str| text.trim_end_matches(of_median.as_str()).to_owned();
        format!("{}–{}", bare(&min), bare(&max))
    } else {
        format!("{min}–{max}")
    };
    format!("{bound}{median} ({range})")
}

fn footer(comparison: &Comparison) -> Vec<String> {
    let runs: Vec<_> = comparison
        .variants
        .iter()
        .zip(&comparison.repeats)
        .map(|(variant, repeats)| format!("{} of {variant}", repeats.used))
        .collect();
    let mut lines = vec![format!("Runs: {}.", runs.join(", "))];
    let has_bound = |figure: &Figure| matches!(figure, Figure::Number(spread) if spread.censored);
    if comparison
        .rows
        .iter()
        .any(|row| row.values.iter().any(has_bound))
    {
        lines.push(
            "≥ marks a lower bound: a timeout, or the end of the load, cut the measurement off."
                .to_owned(),
        );
    }
    if comparison.repeats.iter().any(|repeats| repeats.used > 1) {
        lines.push("Figures are the median of the runs, with their range.".to_owned());
    }
    if has_ratio(comparison) {
        lines.push(format!(
            "Ratio: {}, run by run.",
            comparison.variants.join(" over ")
        ));
    }
    lines.extend(
        comparison
            .remarks
            .iter()
            .map(|remark| format!("Note: {remark}")),
    );
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use verdict::units::time;

    #[test]
    fn a_range_repeats_the_unit_only_where_it_differs() {
        let shown = |median, min, max| {
            let numbers = Spread {
                median,
                min,
                max,
                censored: false,
            };
            spread(numbers, time)
        };
        assert_eq!(shown(2_140.0, 1_950.0, 2_160.0), "2.14 ms (1.95–2.16)");
        assert_eq!(shown(990.0, 450.0, 2_320.0), "990 µs (450 µs–2.32 ms)");
        assert_eq!(shown(990.0, 990.0, 990.0), "990 µs");
    }
}
