//! Many cells in one table: a row for each, in text of two tables that fit a terminal, and in Markdown.

use super::claims;
use super::comparison::{provenance, value};
use verdict::judge::comparison::{Entry, Figure, Mark, Matrix, MatrixRow, MatrixVariant, RowUnit};
use verdict::units::{WIDTH, count, per_second, time, wrapped};

/// Columns of the first table: what users see.
const REQUESTS: [&str; 9] = [
    "req/s",
    "forecast",
    "error",
    "median",
    "mean",
    "p95",
    "unanswered",
    "failed",
    "Little",
];

/// Columns of the second: what it costs, and what is left behind.
const SERVER: [&str; 9] = [
    "sync p99",
    "async p99",
    "CPU",
    "RSS",
    "threads",
    "pending",
    "later",
    "refused",
    "drain",
];

/// The legend, as sentences.
const LEGEND: [&str; 4] = [
    "req/s, median, mean, p95, unanswered (when the load ended) and failed are of ramp and hold, from when each \
     request was due; forecast and error are of req/s, by simulation.",
    "Little: by how much the row misses X·(R + Z) = N; ! marks more than 15 %: transient or censored.",
    "sync and async: p99 of the health checks in the hold. CPU of one core in the hold; RSS and threads at most.",
    "pending: background tasks at the end of the load; later: at most 60 s later; drain: until none is pending, \
     ~ extrapolated.",
];

/// For a terminal.
#[must_use]
pub fn text(matrix: &Matrix) -> String {
    let mut text = String::new();
    for variant in &matrix.variants {
        let title = format!("{} / {}", matrix.scenario, variant.name);
        text.push_str(&table(&format!("{title}: requests"), variant, &REQUESTS));
        text.push('\n');
        text.push_str(&table(&format!("{title}: server"), variant, &SERVER));
        if variant.expectations > 0 {
            text.push_str(&format!(
                "Expectations: {} of {} held.\n",
                variant.held, variant.expectations
            ));
        }
        text.push('\n');
    }
    let sentences = LEGEND
        .iter()
        .map(|&line| line.to_owned())
        .chain(notes(matrix))
        .chain(claims::sentences(&matrix.claims));
    for line in sentences {
        text.push_str(&wrapped("", "  ", &line));
    }
    text
}

/// For a document.
#[must_use]
pub fn markdown(matrix: &Matrix) -> String {
    let mut text = String::new();
    for variant in &matrix.variants {
        text.push_str(&markdown_of(&matrix.scenario, variant));
        text.push('\n');
    }
    let claims = claims::markdown(&matrix.claims);
    if !claims.is_empty() {
        text.push_str(&claims);
        text.push('\n');
    }
    let lines = LEGEND
        .iter()
        .map(|&line| line.to_owned())
        .chain(notes(matrix))
        .chain(matrix.made_by.iter().map(provenance));
    let lines: Vec<_> = lines.collect();
    text + &lines.join("\n\n") + "\n"
}

fn notes(matrix: &Matrix) -> Vec<String> {
    let rows = matrix.variants.iter().flat_map(|variant| &variant.rows);
    RowNotes::of(rows.map(|row| (row.entries.as_slice(), row.is_invalid, row.runs)))
        .sentences(&matrix.remarks)
}

/// What must be said below a table across cells, by what stands in its rows.
#[derive(Default)]
pub(super) struct RowNotes {
    has_bound: bool,
    has_invalid: bool,
    has_repeats: bool,
}

impl RowNotes {
    /// Of the figures of each row, whether they are invalid, and how many runs are behind them.
    pub(super) fn of<'a>(rows: impl Iterator<Item = (&'a [Entry], bool, usize)>) -> Self {
        let is_bound =
            |entry: &Entry| matches!(entry.figure, Figure::Number(spread) if spread.censored);
        rows.fold(Self::default(), |notes, (entries, is_invalid, runs)| Self {
            has_bound: notes.has_bound || entries.iter().any(is_bound),
            has_invalid: notes.has_invalid || is_invalid,
            has_repeats: notes.has_repeats || runs > 1,
        })
    }

    /// The sentences, with `remarks` after them.
    pub(super) fn sentences(&self, remarks: &[String]) -> Vec<String> {
        [
            (
                self.has_bound,
                "≥ marks a lower bound: a timeout, or the end of the load, cut it off.",
            ),
            (
                self.has_invalid,
                "* marks a measurement that is invalid, for want of a valid one.",
            ),
            (self.has_repeats, "Figures are the median of the runs."),
        ]
        .into_iter()
        .filter(|&(is_said, _)| is_said)
        .map(|(_, sentence)| sentence.to_owned())
        .chain(remarks.iter().map(|remark| format!("Note: {remark}")))
        .collect()
    }
}

/// One table: a heading for each route, with its diagnosis if all its cells share one.
fn table(title: &str, variant: &MatrixVariant, columns: &[&str]) -> String {
    let mut lines = vec![
        std::iter::once("cell")
            .chain(columns.iter().map(|&label| short(label)))
            .map(str::to_owned)
            .collect::<Vec<_>>(),
    ];
    for row in &variant.rows {
        let mark = if row.is_invalid { "*" } else { "" };
        let figures = columns.iter().map(|&label| {
            let entry = row.entries.iter().find(|entry| entry.label == label);
            entry.map_or(String::new(), compact)
        });
        lines.push(
            std::iter::once(format!("{}{mark}", row.cell))
                .chain(figures)
                .collect(),
        );
    }
    let mut text = format!("{title}\n");
    let aligned = aligned(&lines);
    let mut path = "";
    for (n, line) in aligned.iter().enumerate() {
        let row = n.checked_sub(1).and_then(|n| variant.rows.get(n));
        if let Some(row) = row.filter(|row| row.path != path) {
            path = &row.path;
            text.push_str(&heading(path, &variant.rows));
        }
        text.push_str(line);
        text.push('\n');
    }
    text
}

fn heading(path: &str, rows: &[MatrixRow]) -> String {
    let mut diagnoses: Vec<_> = rows
        .iter()
        .filter(|row| row.path == path)
        .map(|row| row.diagnosis.as_str())
        .collect();
    diagnoses.dedup();
    let heading = format!("── {path}: {} ", diagnoses.join(", "));
    let rule = WIDTH.saturating_sub(heading.chars().count());
    format!("{heading}{}\n", "─".repeat(rule))
}

/// The first column to the left, the others to the right, one space between them.
pub(super) fn aligned(lines: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..lines.first().map_or(0, Vec::len)).map(width).collect();
    lines
        .iter()
        .map(|line| {
            let cells = line
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(n, (cell, width))| {
                    if n == 0 {
                        format!("{cell:<width$}")
                    } else {
                        format!("{cell:>width$}")
                    }
                });
            cells.collect::<Vec<_>>().join(" ").trim_end().to_owned()
        })
        .collect()
}

/// A header that is no wider than its figures.
fn short(label: &str) -> &str {
    match label {
        "unanswered" => "unansw.",
        "sync p99" => "sync",
        "async p99" => "async",
        other => other,
    }
}

/// A median in as few characters as it takes.
pub(super) fn compact(entry: &Entry) -> String {
    let Figure::Number(spread) = entry.figure else {
        return "n/a".to_owned();
    };
    let value = spread.median;
    let bound = if spread.censored { "≥" } else { "" };
    let figure = match (entry.unit, entry.label) {
        (RowUnit::Percent, "error" | "Little") => format!("{value:+.0} %"),
        (RowUnit::Percent, _) if value > 0.0 && value < 9.95 => format!("{value:.1} %"),
        (RowUnit::Percent, _) => format!("{value:.0} %"),
        (RowUnit::PerSecond, _) => per_second(value).trim_end_matches(" /s").to_owned(),
        (RowUnit::Us, _) => time(value),
        (RowUnit::Bytes, _) => format!("{:.0} MiB", value / 1_048_576.0),
        (RowUnit::Count | RowUnit::Text, _) => count(value),
    };
    match entry.mark {
        Some(Mark::Extrapolated) => format!("~{figure}"),
        Some(Mark::TransientOrCensored) => format!("{figure}!"),
        None => format!("{bound}{figure}"),
    }
}

fn markdown_of(scenario: &str, variant: &MatrixVariant) -> String {
    let labels: Vec<_> = variant.rows.first().map_or(Vec::new(), |row| {
        row.entries.iter().map(|entry| entry.label).collect()
    });
    let mut text = format!(
        "| {scenario} / {} | {} | diagnosis | expectations |\n|---|{}---|---:|\n",
        variant.name,
        labels.join(" | "),
        "---:|".repeat(labels.len())
    );
    let mut path = "";
    for row in &variant.rows {
        if row.path != path {
            path = &row.path;
            let empty = " |".repeat(labels.len() + 2);
            text.push_str(&format!("| **{path}** |{empty}\n"));
        }
        let mark = if row.is_invalid { " (INVALID)" } else { "" };
        text.push_str(&format!("| {}{mark} |", row.cell));
        for entry in &row.entries {
            let figure = value(&entry.figure, entry.unit);
            let figure = match entry.mark {
                Some(Mark::Extrapolated) => format!("~ {figure}"),
                Some(Mark::TransientOrCensored) => format!("{figure} (transient or censored)"),
                None => figure,
            };
            text.push_str(&format!(" {figure} |"));
        }
        text.push_str(&format!(
            " {} | {} of {} |\n",
            row.diagnosis, row.held, row.expectations
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use verdict::judge::comparison::Spread;

    fn entry(label: &'static str, unit: RowUnit, median: f64, mark: Option<Mark>) -> Entry {
        let spread = Spread {
            median,
            min: median,
            max: median,
            censored: unit == RowUnit::Us,
        };
        Entry {
            label,
            unit,
            figure: Figure::Number(spread),
            mark,
        }
    }

    /// Figures as wide as they get.
    fn widest() -> Matrix {
        use RowUnit::{Bytes, Count, PerSecond, Percent, Us};
        let entries = [
            ("req/s", PerSecond, 1_234.0),
            ("forecast", PerSecond, 1_234.0),
            ("error", Percent, -100.0),
            ("median", Us, 123_000.0),
            ("mean", Us, 11_800_000.0),
            ("p95", Us, 20_200_000.0),
            ("unanswered", Percent, 100.0),
            ("failed", Percent, 100.0),
            ("Little", Percent, -100.0),
            ("sync p99", Us, 123_000.0),
            ("async p99", Us, 123_000.0),
            ("CPU", Percent, 100.0),
            ("RSS", Bytes, 1e8),
            ("threads", Count, 85.0),
            ("pending", Count, 5_761.0),
            ("later", Count, 5_521.0),
            ("refused", Count, 5_103.0),
            ("drain", Us, 1_448e6),
        ]
        .map(|(label, unit, median)| {
            let mark = match label {
                "drain" => Some(Mark::Extrapolated),
                "Little" => Some(Mark::TransientOrCensored),
                _ => None,
            };
            entry(label, unit, median, mark)
        });
        let row = MatrixRow {
            cell: "route1-100".to_owned(),
            path: "/async-route-async-inner-async-bg-async-task".to_owned(),
            runs: 3,
            is_invalid: true,
            diagnosis: "blocking_pool_exhausted".to_owned(),
            held: 4,
            expectations: 5,
            entries: entries.to_vec(),
        };
        Matrix {
            scenario: "route-matrix".to_owned(),
            variants: vec![MatrixVariant {
                name: "broken".to_owned(),
                rows: vec![row],
                held: 4,
                expectations: 5,
            }],
            claims: Vec::new(),
            remarks: Vec::new(),
            made_by: Vec::new(),
        }
    }

    #[test]
    fn text_fits_a_terminal_and_says_what_a_row_is_worth() {
        let text = text(&widest());
        let too_wide: Vec<_> = text
            .lines()
            .filter(|line| line.chars().count() > WIDTH)
            .collect();
        assert!(too_wide.is_empty(), "{too_wide:#?}");
        for part in [
            "── /async-route-async-inner-async-bg-async-task: blocking_pool_exhausted ",
            "route1-100* ",
            "-100 %!",
            "~1448 s",
            "≥11.8 s",
            "Expectations: 4 of 5 held.",
            "* marks a measurement that is invalid",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn markdown_has_every_column_and_one_heading_for_a_route() {
        let text = markdown(&widest());
        let columns = |line: &str| line.matches('|').count();
        let table: Vec<_> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(table.len(), 4);
        assert!(
            table.iter().all(|line| columns(line) == columns(table[0])),
            "{text}"
        );
        assert!(
            table[3].contains("-100.0 % (transient or censored)"),
            "{text}"
        );
        assert!(table[3].contains("| ~ ≥ 1448 s |"), "{text}");
    }
}
