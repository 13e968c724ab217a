//! The comparison as aligned text, as Markdown and as JSON.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use super::claims;
use verdict::judge::comparison::{Comparison, Figure, Provenance, Row, RowUnit, Spread};
use verdict::units::{WIDTH, bytes, count, per_second, percent, time, wrapped};

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
    match format {
        Format::Text => comparisons.iter().map(text).collect::<Vec<_>>().join("\n"),
        Format::Markdown => comparisons
            .iter()
            .map(markdown)
            .collect::<Vec<_>>()
            .join("\n"),
        // Its keys are strings, so it always serializes.
        Format::Json => serde_json::to_string_pretty(comparisons).unwrap_or_default() + "\n",
    }
}

/// Columns that fit into 80 characters beside the labels.
const COLUMNS: usize = 3;

/// A header longer than this is broken at its hyphens.
const HEADER: usize = 14;

fn text(comparison: &Comparison) -> String {
    let count = comparison.variants.len();
    let parts: Vec<_> = (0..count)
        .step_by(COLUMNS)
        .map(|start| columns_of(comparison, start..count.min(start + COLUMNS)))
        .collect();
    let tables: Vec<_> = parts.iter().map(text_of_columns).collect();
    let mut text = tables.join("\n");
    for line in footer(comparison)
        .into_iter()
        .chain(claims::sentences(&comparison.claims))
    {
        text.push_str(&wrapped("", "  ", &line));
    }
    text
}

/// The part of a comparison that is about some of its variants.
fn columns_of(comparison: &Comparison, range: std::ops::Range<usize>) -> Comparison {
    let mut part = comparison.clone();
    part.variants = comparison.variants[range.clone()].to_vec();
    part.repeats = comparison.repeats[range.clone()].to_vec();
    for row in &mut part.rows {
        row.values = row.values[range.clone()].to_vec();
    }
    part
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

fn text_of_columns(comparison: &Comparison) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    let ratio = has_ratio(comparison);
    let mut header = vec![Cell::new(title(comparison))];
    header.extend(columns(comparison).map(|name| right(broken_at_hyphens(&name))));
    if ratio {
        header.push(right("ratio"));
    }
    table.set_header(header);
    for row in &comparison.rows {
        let mut cells = vec![Cell::new(format!("  {}", row.label))];
        cells.extend(
            row.values
                .iter()
                .map(|figure| right(value(figure, row.unit))),
        );
        if ratio {
            // The range would not fit into 80 columns; Markdown and JSON have it.
            cells.push(right(ratio_of(row, |ratio| times(ratio.median))));
        }
        table.add_row(cells);
    }
    with_groups(&table.to_string(), comparison)
}

/// Puts a heading above each group; inside the table it would widen its first column.
fn with_groups(table: &str, comparison: &Comparison) -> String {
    let mut text = String::new();
    let mut group = "";
    // Every row takes one line, and the header what is left.
    let header = table.lines().count().saturating_sub(comparison.rows.len());
    for (n, line) in table.lines().enumerate() {
        let row = n.checked_sub(header).and_then(|n| comparison.rows.get(n));
        if let Some(row) = row.filter(|row| row.group != group) {
            group = row.group;
            let rule = WIDTH.saturating_sub(group.chars().count() + 4);
            text.push_str(&format!("── {group} {}\n", "─".repeat(rule)));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn markdown(comparison: &Comparison) -> String {
    let ratio = has_ratio(comparison);
    let mut text = format!("| {} |", title(comparison));
    for column in columns(comparison) {
        text.push_str(&format!(" {column} |"));
    }
    text.push_str(if ratio { " ratio |\n|---|" } else { "\n|---|" });
    text.push_str(&"---:|".repeat(comparison.variants.len() + usize::from(ratio)));
    text.push('\n');
    let mut group = "";
    for row in &comparison.rows {
        if row.group != group {
            group = row.group;
            let empty = " |".repeat(comparison.variants.len() + usize::from(ratio));
            text.push_str(&format!("| **{group}** |{empty}\n"));
        }
        text.push_str(&format!("| {} |", row.label));
        for figure in &row.values {
            text.push_str(&format!(" {} |", value(figure, row.unit)));
        }
        if ratio {
            text.push_str(&format!(
                " {} |",
                ratio_of(row, |ratio| spread(ratio, times))
            ));
        }
        text.push('\n');
    }
    text.push('\n');
    for line in footer(comparison)
        .into_iter()
        .chain([claims::markdown(&comparison.claims)])
    {
        text.push_str(line.trim_end());
        text.push_str("\n\n");
    }
    for made in &comparison.made_by {
        text.push_str(&provenance(made));
        text.push_str("\n\n");
    }
    text.trim_end().to_owned() + "\n"
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

fn columns(comparison: &Comparison) -> impl Iterator<Item = String> {
    let marked = comparison.variants.iter().zip(&comparison.repeats);
    marked.map(|(variant, repeats)| {
        let mark = if repeats.is_invalid { " (INVALID)" } else { "" };
        format!("{variant}{mark}")
    })
}

fn title(comparison: &Comparison) -> String {
    format!("{} / {}", comparison.scenario, comparison.cell)
}

fn right(text: impl ToString) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn has_ratio(comparison: &Comparison) -> bool {
    comparison.rows.iter().any(|row| row.ratio.is_some())
}

/// The ratio of a row of times; one of percentages or of counts would say nothing.
fn ratio_of(row: &Row, show: impl Fn(Spread) -> String) -> String {
    row.ratio
        .filter(|_| row.unit == RowUnit::Us)
        .map(show)
        .unwrap_or_default()
}

pub(super) fn value(figure: &Figure, unit: RowUnit) -> String {
    match figure {
        Figure::Missing => "n/a".to_owned(),
        Figure::Text(text) => text.clone(),
        Figure::Number(numbers) => spread(*numbers, |number| match unit {
            RowUnit::Us => time(number),
            RowUnit::Bytes => bytes(number),
            RowUnit::Percent => percent(number),
            RowUnit::PerSecond => per_second(number),
            RowUnit::Count | RowUnit::Text => count(number),
        }),
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
