//! Many cells in one table: a row for each, in text of two tables that fit a terminal, and in Markdown.

use super::claims;
use super::comparison::{provenance, value};
use super::grid::Grid;
use verdict::judge::comparison::{Entry, Figure, Mark, Matrix, MatrixRow, MatrixVariant, Part};
use verdict::metrics::MetricUnit;
use verdict::units::wrapped;

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
        let requests = part(variant, Part::Requests);
        text.push_str(&format!("{title}: requests\n{requests}\n"));
        let server = part(variant, Part::Server);
        text.push_str(&format!("{title}: server\n{server}"));
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
    let rows: Vec<_> = rows
        .map(|row| (row.entries.as_slice(), row.is_invalid, row.runs))
        .collect();
    row_notes(&rows, &matrix.remarks)
}

/// What must be said below a table across cells, by what stands in its rows: the figures of each, whether
/// they are invalid, and how many runs are behind them.
pub(super) fn row_notes(rows: &[(&[Entry], bool, usize)], remarks: &[String]) -> Vec<String> {
    let is_bound =
        |entry: &Entry| matches!(entry.figure, Figure::Number(spread) if spread.censored);
    let has_bound = rows
        .iter()
        .any(|(entries, ..)| entries.iter().any(is_bound));
    let has_invalid = rows.iter().any(|&(_, is_invalid, _)| is_invalid);
    let has_repeats = rows.iter().any(|&(_, _, runs)| runs > 1);
    let said = [
        (
            has_bound,
            "≥ marks a lower bound: a timeout, or the end of the load, cut it off.",
        ),
        (
            has_invalid,
            "* marks a measurement that is invalid, for want of a valid one.",
        ),
        (has_repeats, "Figures are the median of the runs."),
    ];
    let said = said.iter().filter(|(is_so, _)| *is_so);
    let remarks = remarks.iter().map(|remark| format!("Note: {remark}"));
    said.map(|(_, sentence)| (*sentence).to_owned())
        .chain(remarks)
        .collect()
}

/// One of the tables for a terminal.
fn part(variant: &MatrixVariant, part: Part) -> String {
    let entries = |row: &MatrixRow| {
        let place = |entry: &Entry| entry.column.place.filter(|(of, _)| *of == part);
        let entries = row.entries.iter().filter(|entry| place(entry).is_some());
        let mut entries: Vec<_> = entries.cloned().collect();
        entries.sort_by_key(|entry| place(entry).map(|(_, n)| n));
        entries
    };
    let columns = variant.rows.first().map_or(Vec::new(), entries);
    let short = columns.iter().map(|entry| entry.column.short.to_owned());
    let row = |row: &MatrixRow| {
        let mark = if row.is_invalid { "*" } else { "" };
        let mut cells = vec![format!("{}{mark}", row.cell)];
        cells.extend(entries(row).iter().map(compact));
        (heading(&row.path, &variant.rows), cells)
    };
    let grid = Grid {
        header: std::iter::once("cell".to_owned()).chain(short).collect(),
        rows: variant.rows.iter().map(row).collect(),
        left: None,
    };
    grid.text("", " ")
}

/// A route, with what its cells are diagnosed.
fn heading(path: &str, rows: &[MatrixRow]) -> String {
    if path.is_empty() {
        return String::new();
    }
    let of_path = rows.iter().filter(|row| row.path == path);
    let mut diagnoses: Vec<_> = of_path.map(|row| row.diagnosis.as_str()).collect();
    diagnoses.dedup();
    format!("{path}: {}", diagnoses.join(", "))
}

/// A median in as few characters as it takes.
pub(super) fn compact(entry: &Entry) -> String {
    let Figure::Number(spread) = entry.figure else {
        return "n/a".to_owned();
    };
    let value = spread.median;
    let bound = if spread.censored { "≥" } else { "" };
    let figure = match entry.unit {
        MetricUnit::Percent if entry.column.is_signed => format!("{value:+.0} %"),
        MetricUnit::Percent if value > 0.0 && value < 9.95 => format!("{value:.1} %"),
        MetricUnit::Percent => format!("{value:.0} %"),
        MetricUnit::PerSecond => entry.unit.shown(value).trim_end_matches(" /s").to_owned(),
        MetricUnit::Bytes => format!("{:.0} MiB", value / 1_048_576.0),
        unit => unit.shown(value),
    };
    match entry.mark {
        Some(Mark::Extrapolated) => format!("~{figure}"),
        Some(Mark::TransientOrCensored) => format!("{figure}!"),
        None => format!("{bound}{figure}"),
    }
}

fn markdown_of(scenario: &str, variant: &MatrixVariant) -> String {
    let columns = variant.rows.first().map_or(&[][..], |row| &row.entries);
    let mut header = vec![format!("{scenario} / {}", variant.name)];
    header.extend(columns.iter().map(|entry| entry.label.to_owned()));
    header.extend(["diagnosis", "expectations"].map(str::to_owned));
    let row = |row: &MatrixRow| {
        let mark = if row.is_invalid { " (INVALID)" } else { "" };
        let mut cells = vec![format!("{}{mark}", row.cell)];
        cells.extend(row.entries.iter().map(|entry| {
            let figure = value(&entry.figure, entry.unit);
            match entry.mark {
                Some(Mark::Extrapolated) => format!("~ {figure}"),
                Some(Mark::TransientOrCensored) => format!("{figure} (transient or censored)"),
                None => figure,
            }
        }));
        cells.push(row.diagnosis.clone());
        cells.push(format!("{} of {}", row.held, row.expectations));
        (row.path.clone(), cells)
    };
    let grid = Grid {
        rows: variant.rows.iter().map(row).collect(),
        left: Some(header.len() - 2),
        header,
    };
    grid.markdown()
}

#[cfg(test)]
mod tests {
    use super::*;
    use verdict::judge::comparison::{CellRuns, Spread, matrix};
    use crate::sample::summary;
    use verdict::units::WIDTH;

    /// Figures as wide as they get.
    fn widest() -> Matrix {
        const WIDEST: [(&str, f64); 18] = [
            ("req/s", 1_234.0),
            ("forecast", 1_234.0),
            ("error", -100.0),
            ("median", 123_000.0),
            ("mean", 11_800_000.0),
            ("p95", 20_200_000.0),
            ("unanswered", 100.0),
            ("failed", 100.0),
            ("Little", -100.0),
            ("sync p99", 123_000.0),
            ("async p99", 123_000.0),
            ("CPU", 100.0),
            ("RSS", 1e8),
            ("threads", 85.0),
            ("pending", 5_761.0),
            ("later", 5_521.0),
            ("refused", 5_103.0),
            ("drain", 1_448e6),
        ];
        let mut matrix = matrix(&[CellRuns {
            scenario: "route-matrix".to_owned(),
            cell: "route1-100".to_owned(),
            runs: vec![("broken".to_owned(), vec![summary()])],
        }]);
        let variant = &mut matrix.variants[0];
        (variant.held, variant.expectations) = (4, 5);
        let row = &mut variant.rows[0];
        "/async-route-async-inner-async-bg-async-task".clone_into(&mut row.path);
        "blocking_pool_exhausted".clone_into(&mut row.diagnosis);
        row.is_invalid = true;
        for entry in &mut row.entries {
            let widest = WIDEST.iter().find(|(label, _)| *label == entry.label);
            let Some(&(label, median)) = widest else {
                continue;
            };
            entry.figure = Figure::Number(Spread {
                median,
                min: median,
                max: median,
                censored: entry.unit == MetricUnit::Us,
            });
            entry.mark = match label {
                "drain" => Some(Mark::Extrapolated),
                "Little" => Some(Mark::TransientOrCensored),
                _ => None,
            };
        }
        matrix.remarks.clear();
        matrix
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
